package awswire_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

func TestPagesGiveEveryItemOnceInOrder(t *testing.T) {
	var items []string
	for i := range 50 {
		items = append(items, fmt.Sprintf("%02d", 49-i))
	}
	key := func(s string) string { return s }
	for _, size := range []int32{20, 25, 49, 50, 100} {
		var seen []string
		var marker *string
		for {
			page, next, err := awswire.Page(items, marker, &size, awswire.RDSPages(), key)
			if err != nil {
				t.Fatal(err)
			}
			if seen = append(seen, page...); next == nil {
				break
			}
			marker = next
		}
		if len(seen) != 50 || seen[0] != "00" || seen[49] != "49" {
			t.Errorf("pages of %d gave %v", size, seen)
		}
	}
	for _, size := range []int32{-1, 0, 19, 101} {
		if _, _, err := awswire.Page(items, nil, &size, awswire.RDSPages(), key); err == nil {
			t.Errorf("a page of %d was given", size)
		}
	}
	if _, _, err := awswire.Page(items, aws.String("!"), nil, awswire.RDSPages(), key); err == nil {
		t.Error("a marker that nobody gave out was taken")
	}
}
