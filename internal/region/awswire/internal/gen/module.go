package main

import "go/build"

// moduleDir is where the sources of a package of the module's requirements are.
func moduleDir(path string) (string, error) {
	p, err := build.Import(path, ".", build.FindOnly)
	if err != nil {
		return "", err
	}
	return p.Dir, nil
}
