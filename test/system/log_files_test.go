package system

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/test/harness"
)

// TestTheLogOfAServerIsReadThroughTheAPI finds what a client caused in it, and the
// authority that signed the endpoint's certificate.
func TestTheLogOfAServerIsReadThroughTheAPI(t *testing.T) {
	in := harness.New(t, harness.Options{})
	client := in.RDS()
	if _, err := client.CreateDBClusterParameterGroup(t.Context(), &rds.CreateDBClusterParameterGroupInput{
		DBClusterParameterGroupName: aws.String(tuned), DBParameterGroupFamily: aws.String(family), Description: aws.String("of a test")}); err != nil {
		t.Fatal(err)
	}
	makeTuned(t, client)
	writer, _ := tunedEndpoints(t, client)
	const traces = "no_such_table_of_this_test"
	if _, err := in.Query(writer, "SELECT n::text FROM "+traces); err == nil {
		t.Fatal("the table is there")
	}
	id := aws.String(tuned + "-1")
	harness.Eventually(t, 15*time.Second, "the error is in the log", func() error {
		files, err := client.DescribeDBLogFiles(t.Context(), &rds.DescribeDBLogFilesInput{DBInstanceIdentifier: id})
		if err != nil || len(files.DescribeDBLogFiles) == 0 {
			return fmt.Errorf("%+v, %v", files, err)
		}
		last := files.DescribeDBLogFiles[len(files.DescribeDBLogFiles)-1].LogFileName
		out, err := client.DownloadDBLogFilePortion(t.Context(), &rds.DownloadDBLogFilePortionInput{DBInstanceIdentifier: id, LogFileName: last, Marker: aws.String("0")})
		if err != nil || !strings.Contains(*out.LogFileData, traces) {
			return fmt.Errorf("%s: %v", *last, err)
		}
		return nil
	})
	certificates, err := client.DescribeCertificates(t.Context(), nil)
	if err != nil || len(certificates.Certificates) != 1 || !certificates.Certificates[0].ValidTill.After(time.Now()) {
		t.Errorf("%+v, %v", certificates, err)
	}
}
