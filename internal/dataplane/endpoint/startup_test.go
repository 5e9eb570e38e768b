package endpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func startupPacket(version uint32, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(binary.BigEndian.AppendUint32(b, version), body...)
}

const version30 = 3 << 16

func TestStartupPackets(t *testing.T) {
	cases := map[string]struct {
		packet []byte
		want   string // part of the refusal; empty: accepted
	}{
		"user and database":        {startupPacket(version30, "user\x00app\x00database\x00demo\x00\x00"), ""},
		"newer minor version":      {startupPacket(version30|2, "user\x00app\x00_pq_.x\x00on\x00\x00"), ""},
		"replication off":          {startupPacket(version30, "user\x00app\x00replication\x00off\x00\x00"), ""},
		"no user":                  {startupPacket(version30, "database\x00demo\x00\x00"), "no PostgreSQL user name"},
		"empty":                    {startupPacket(version30, "\x00"), "no PostgreSQL user name"},
		"no end":                   {startupPacket(version30, "user\x00app\x00"), "layout"},
		"no value":                 {startupPacket(version30, "user\x00"), "layout"},
		"more after the end":       {startupPacket(version30, "user\x00app\x00\x00user\x00rdsadmin\x00"), "layout"},
		"internal role":            {startupPacket(version30, "user\x00rdsadmin\x00\x00"), "reserved"},
		"internal role, first":     {startupPacket(version30, "user\x00rdsadmin\x00user\x00app\x00\x00"), "reserved"},
		"internal role, last":      {startupPacket(version30, "user\x00app\x00user\x00rdsadmin_x\x00\x00"), "reserved"},
		"replication role":         {startupPacket(version30, "user\x00rdsrepladmin\x00\x00"), "reserved"},
		"physical replication":     {startupPacket(version30, "user\x00app\x00replication\x00true\x00\x00"), "not supported"},
		"logical replication":      {startupPacket(version30, "user\x00app\x00replication\x00database\x00\x00"), "not supported"},
		"replication, abbreviated": {startupPacket(version30, "user\x00app\x00replication\x00t\x00\x00"), "not supported"},
		"version 2":                {startupPacket(2<<16, strings.Repeat("\x00", 288)), "unsupported frontend protocol 2.0"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := readPacket(bytes.NewReader(tc.packet))
			if err != nil {
				t.Fatal(err)
			}
			s, err := parseStartup(p)
			var r *refusal
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want == "" && !bytes.Equal(s.encode(), tc.packet):
				t.Errorf("written anew: %q, was %q", s.encode(), tc.packet)
			case tc.want != "" && (!errors.As(err, &r) || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestLengthsThatCannotBeAreRefusedBeforeAnythingIsRead(t *testing.T) {
	for _, length := range []uint32{0, 7, maxStartupBytes + 1, 1 << 31} {
		head := binary.BigEndian.AppendUint32(nil, length)
		_, err := readPacket(bytes.NewReader(append(head, 0, 3, 0, 0)))
		var r *refusal
		if !errors.As(err, &r) || r.code != codeProtocolViolation {
			t.Errorf("length %d: %v", length, err)
		}
	}
}

func TestDatabaseDefaultsToTheUserAndTheLastSettingCounts(t *testing.T) {
	s := startup{settings: []setting{{"user", "a"}, {"user", "b"}}}
	if s.database() != "b" {
		t.Errorf("database %q", s.database())
	}
}

func FuzzStartup(f *testing.F) {
	f.Add(startupPacket(version30, "user\x00app\x00database\x00demo\x00\x00"))
	f.Add(startupPacket(version30, "user\x00\x00\x00"))
	f.Add(startupPacket(codeCancel, "12345678"))
	f.Add(startupPacket(codeTLS, ""))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := readPacket(bytes.NewReader(data))
		if err != nil {
			return
		}
		_, _ = parseCancel(p)
		s, err := parseStartup(p)
		if err != nil {
			return
		}
		// What is sent on means to another reader what it meant to us.
		again, err := readPacket(bytes.NewReader(s.encode()))
		if err != nil {
			t.Fatal(err)
		}
		if read, err := parseStartup(again); err != nil || !reflect.DeepEqual(read, s) {
			t.Fatalf("%+v became %+v (%v)", s, read, err)
		}
		if internalRole(s.get("user")) {
			t.Fatalf("user %q got through", s.get("user"))
		}
	})
}
