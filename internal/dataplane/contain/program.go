package contain

import (
	"debug/elf"
	"fmt"
	"io"
	"strings"
)

// Program returns the files that have to be executable for a program to run: itself, and
// what loads its libraries.
func Program(program string) ([]string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return nil, fmt.Errorf("what runs %s: %w", program, err)
	}
	defer f.Close()
	files := []string{program}
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		loader, err := io.ReadAll(p.Open())
		if err != nil {
			return nil, fmt.Errorf("what runs %s: %w", program, err)
		}
		files = append(files, strings.TrimRight(string(loader), "\x00"))
	}
	return files, nil
}
