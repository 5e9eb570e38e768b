package launch

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLogIsSetAsideWhileItIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.log")
	out, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	other, err := openLog(filepath.Join(t.TempDir(), "elsewhere"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	write := func(f *os.File, text string) {
		t.Helper()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	turn := func(outputs ...*os.File) {
		t.Helper()
		if err := turnLog(path, 10, outputs...); err != nil {
			t.Fatal(err)
		}
	}
	want := func(path, text string) {
		t.Helper()
		if got, _ := os.ReadFile(path); string(got) != text {
			t.Errorf("%s: %q, want %q", filepath.Base(path), got, text)
		}
	}
	write(out, "small\n")
	turn(out, other)
	write(out, "now it is large\n")
	turn(other) // whose log it is not
	want(path, "small\nnow it is large\n")
	turn(out, other)
	write(out, "new\n")
	write(other, "untouched\n")
	want(path+".1", "small\nnow it is large\n")
	want(path, "new\n")
	want(other.Name(), "untouched\n")
}
