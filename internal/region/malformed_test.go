package region_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/rds"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
	"github.com/daybreakdb/daybreak/internal/state"
)

// malformedRequests is how many the test sends, growth how much larger the heap
// may be after them.
const (
	malformedRequests = 10_000
	growth            = 8 << 20
)

// TestMalformedRequestsAreRefusedAndLeaveNothing sends requests that are wrong in
// every layer: HTTP, signature, protocol, types, values.
func TestMalformedRequestsAreRefusedAndLeaveNothing(t *testing.T) {
	r := regiontest.Serve(t, func(ctx context.Context, store *state.Store) (*awswire.Service, error) { return rds.New(ctx, store) })
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	m := malformer{t: t, random: rand.New(rand.NewPCG(seed, 0))}
	send := func(n int) {
		for range n {
			kind := malformations[m.random.IntN(len(malformations))]
			req := kind.make(&m)
			answer := httptest.NewRecorder()
			r.Handler.ServeHTTP(answer, req)
			if answer.Code < 400 || answer.Code > 499 {
				t.Fatalf("%s: status %d, %.300s", kind.name, answer.Code, answer.Body)
			}
		}
	}
	send(500) // caches and pools are filled
	revision, heap := revisionOf(t, r.Store), heapNow()
	send(malformedRequests)
	if after := heapNow(); after > heap+growth {
		t.Errorf("the heap grew from %d to %d bytes", heap, after)
	}
	if after := revisionOf(t, r.Store); after != revision {
		t.Errorf("the state was written: revision %d, before %d", after, revision)
	}
}

func heapNow() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools held
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func revisionOf(t *testing.T, store *state.Store) int64 {
	t.Helper()
	_, revision, err := state.NewTable[aurora.DBCluster](store, "nothing").List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

type malformer struct {
	t      *testing.T
	random *rand.Rand
}

// malformations are the ways in which requests are wrong.
var malformations = []struct {
	name string
	make func(*malformer) *http.Request
}{
	{"an action that is not there", func(m *malformer) *http.Request {
		return m.query(m.service(), "Action="+m.word()+"x&Version=2014-10-31")
	}},
	{"bytes in place of a query", func(m *malformer) *http.Request { return m.query(m.service(), m.garbage(300)) }},
	{"a member that is missing", func(m *malformer) *http.Request {
		return m.query("rds", "Action="+m.of("CreateDBCluster", "CreateDBInstance", "DeleteDBCluster", "CreateDBSubnetGroup")+"&Version=2014-10-31&"+m.word()+"="+m.word())
	}},
	{"a value of another type", func(m *malformer) *http.Request {
		value := m.of("abc", "1e999", "0x10", "--1", "9999999999999999999999", "ja", "%00", "+")
		return m.query("rds", "Action=CreateDBCluster&Version=2014-10-31&DBClusterIdentifier=a&Engine=aurora-postgresql&"+
			m.of("Port=", "BackupRetentionPeriod=", "StorageEncrypted=", "ServerlessV2ScalingConfiguration.MinCapacity=")+value)
	}},
	{"lists that are none", func(m *malformer) *http.Request {
		return m.query("ec2", "Action=CreateTags&Version=2016-11-15&ResourceId."+m.of("0", "-1", "99999999", "x", "1.2")+"=vpc-1&Tag."+m.of("0", "x", "7")+".Key=a")
	}},
	{"values that no resource can have", func(m *malformer) *http.Request {
		return m.query("ec2", "Action="+m.of("CreateVpc&CidrBlock=", "CreateVpc&InstanceTenancy=")+m.garbage(40)+"&Version=2016-11-15")
	}},
	{"bytes in place of JSON", func(m *malformer) *http.Request { return m.json(m.garbage(300)) }},
	{"JSON that ends too early", func(m *malformer) *http.Request {
		whole := `{"KeyId":"a","Plaintext":"AAEC","EncryptionContext":{"k":"v"},"GrantTokens":["x"]}`
		return m.json(whole[:1+m.random.IntN(len(whole)-1)])
	}},
	{"JSON that is deep", func(m *malformer) *http.Request {
		n := 1 + m.random.IntN(20000)
		return m.json(`{"KeyId":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`)
	}},
	{"JSON of other types", func(m *malformer) *http.Request {
		return m.json(m.of(`[]`, `1`, `null`, `"x"`, `{"KeyId":1,"Plaintext":"AA=="}`, `{"KeyId":{},"Plaintext":[]}`, `{"KeyId":"a","Plaintext":"!"}`))
	}},
	{"a body that is too large", func(m *malformer) *http.Request {
		if m.random.IntN(50) > 0 { // which would take most of the time
			return m.json("{")
		}
		return m.query("rds", "Action=CreateDBCluster&x="+strings.Repeat("y", 2<<20))
	}},
	{"a signature with another byte", func(m *malformer) *http.Request {
		r := m.query("rds", "Action=DescribeDBClusters&Version=2014-10-31")
		header := []byte(r.Header.Get("Authorization"))
		header[m.random.IntN(len(header))] ^= byte(1 + m.random.IntN(7))
		r.Header.Set("Authorization", string(header))
		return r
	}},
	{"a signature of another time", func(m *malformer) *http.Request {
		return m.signed("rds", "", []byte("Action=DescribeDBClusters&Version=2014-10-31"), time.Now().Add(time.Duration(16+m.random.IntN(1e5))*time.Minute))
	}},
	{"a signature of another body", func(m *malformer) *http.Request {
		r := m.query("rds", "Action=DescribeDBClusters&Version=2014-10-31")
		r.Body = http.NoBody
		return r
	}},
	{"no signature", func(m *malformer) *http.Request {
		return httptest.NewRequest(m.of("GET", "POST", "PUT", "DELETE"), "/?Action="+m.word(), strings.NewReader(m.garbage(100)))
	}},
	{"headers that are none", func(m *malformer) *http.Request {
		r := httptest.NewRequest("POST", "/", strings.NewReader(m.garbage(100)))
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 "+m.garbage(200))
		r.Header.Set("X-Amz-Date", m.garbage(20))
		return r
	}},
}

func (m *malformer) of(words ...string) string { return words[m.random.IntN(len(words))] }

func (m *malformer) service() string { return m.of("rds", "ec2", "iam", "sts", "sns") }

func (m *malformer) word() string { return fmt.Sprintf("W%x", m.random.Uint64()) }

// garbage is up to n bytes of all kinds, of which the first makes no action of them.
func (m *malformer) garbage(n int) string {
	b := make([]byte, 1+m.random.IntN(n))
	for i := range b {
		b[i] = byte(m.random.Uint32())
	}
	return "%" + string(b)
}

func (m *malformer) query(service, form string) *http.Request {
	return m.signed(service, "", []byte(form), time.Now())
}

func (m *malformer) json(body string) *http.Request {
	target := m.of("TrentService.Encrypt", "secretsmanager.CreateSecret", "Logs_20140328.CreateLogGroup")
	service := map[byte]string{'T': "kms", 's': "secretsmanager", 'L': "logs"}[target[0]]
	return m.signed(service, target, []byte(body), time.Now())
}

// signed is a request that root signed.
func (m *malformer) signed(service, target string, body []byte, at time.Time) *http.Request {
	m.t.Helper()
	r := httptest.NewRequest("POST", "http://region/", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if target != "" {
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", target)
	}
	sum := sha256.Sum256(body)
	keys := aws.Credentials{AccessKeyID: wiretest.AccessKey, SecretAccessKey: wiretest.SecretKey}
	if err := v4.NewSigner().SignHTTP(m.t.Context(), keys, r, hex.EncodeToString(sum[:]), service, wiretest.Region, at); err != nil {
		m.t.Fatal(err)
	}
	return r
}
