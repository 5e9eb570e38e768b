package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
)

func TestFramesAreReadAsTheyWereWritten(t *testing.T) {
	s := State{Promised: Ballot{3, 1}, Owner: Ballot{2, 7}, Begun: true, Terms: []TermBegin{{Ballot{2, 7}, 5}}, History: History{{1, 0}}, End: 99}
	q := copyRequest{Op: opTruncate, Cluster: "c", Copies: []copyName{{"z", 3, 1 << 63}}, Ballot: Ballot{3, 1}, State: &s, Committed: 7}
	var stream bytes.Buffer
	for _, data := range []string{"", "WAL"} {
		if err := writeFrame(&stream, q, []byte(data)); err != nil {
			t.Fatal(err)
		}
		var got copyRequest
		read, err := readFrame(&stream, &got, nil)
		if err != nil || string(read) != data || !reflect.DeepEqual(got, q) {
			t.Errorf("%+v, %q, %v", got, read, err)
		}
	}
}

func TestErrorsKeepTheirKindOnTheWay(t *testing.T) {
	for kind, err := range errorKinds {
		got := toWire(fmt.Errorf("copy 3: %w", err)).err()
		if !errors.Is(got, err) || got.Error() != "copy 3: "+err.Error() {
			t.Errorf("%s: %v", kind, got)
		}
	}
	if toWire(nil).err() != nil {
		t.Error("none became one")
	}
}

// FuzzFrame: whatever comes from another host is a frame or an error, and takes no
// more memory than a frame may.
func FuzzFrame(f *testing.F) {
	var frame bytes.Buffer
	if err := writeFrame(&frame, copyRequest{Op: opAppend, Copies: []copyName{{Zone: "a"}}}, []byte("WAL")); err != nil {
		f.Fatal(err)
	}
	f.Add(frame.Bytes())
	f.Add(frame.Bytes()[:9])
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, content []byte) {
		in := bytes.NewReader(content)
		var q copyRequest
		data, err := readFrame(in, &q, nil)
		if err == nil && len(data) > len(content) {
			t.Errorf("%d bytes out of %d", len(data), len(content))
		}
		if err != nil && errors.Is(err, io.EOF) && len(content) != 0 {
			t.Errorf("a frame that was cut ends in an orderly way: %v", err)
		}
	})
}
