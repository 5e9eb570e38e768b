package sdkmodel

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// Newer packages of the SDK have a schema of each structure in place of
// functions that write and read it:
//
//	Tag_key = Tag.AddMember("key", …)                     // in package schemas
//	func (v *Tag) SerializeMembers(s …) { … schemas.Tag_key, *v.Key … }
//
// hasSchemas tells such a package.
func hasSchemas(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "schemas"))
	return err == nil
}

// parseSchemas reads a package that has schemas.
func parseSchemas(dir string) (*service, error) {
	s := newService()
	wire := map[string]string{} // variable of a member's schema → name on the wire
	read := func(visit func(ast.Decl), pattern string) error {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, decl := range parsed.Decls {
				visit(decl)
			}
		}
		return nil
	}
	if err := read(func(d ast.Decl) { schemaMembers(d, wire) }, "schemas/schemas.go"); err != nil {
		return nil, err
	}
	for _, pattern := range []string{"api_op_*.go", "types/types.go"} {
		if err := read(func(d ast.Decl) { s.declaration(d, wire) }, pattern); err != nil {
			return nil, err
		}
	}
	return s, read(func(d ast.Decl) {
		if f, ok := d.(*ast.FuncDecl); ok {
			s.validator(f)
		}
	}, "validators.go")
}

// schemaMembers reads Tag_key = Tag.AddMember("key", …).
func schemaMembers(decl ast.Decl, wire map[string]string) {
	ast.Inspect(decl, func(n ast.Node) bool {
		assign, ok := n.(*ast.AssignStmt)
		if !ok || len(assign.Lhs) != 1 || len(assign.Rhs) != 1 {
			return true
		}
		calls(assign.Rhs[0], func(call *ast.CallExpr, name string) {
			if variable, ok := assign.Lhs[0].(*ast.Ident); ok && name == "AddMember" {
				wire[variable.Name] = literal(call.Args[0])
			}
		})
		return true
	})
}

// declaration reads a structure's fields, or the method that writes them.
func (s *service) declaration(decl ast.Decl, wire map[string]string) {
	switch d := decl.(type) {
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if t, ok := spec.(*ast.TypeSpec); ok {
				s.fields(t)
			}
		}
	case *ast.FuncDecl:
		if receiver(d) == "Client" && ast.IsExported(d.Name.Name) {
			s.results[d.Name.Name] = ""
		}
		if d.Name.Name != "SerializeMembers" || d.Recv == nil {
			return
		}
		for _, stmt := range d.Body.List {
			if field, name := selected(stmt, "v"), wire[selected(stmt, "schemas")]; field != "" && name != "" {
				m := s.member(receiver(d), field)
				m.in, m.out = name, name
			}
		}
	}
}

// fields notes what the fields of a structure are made of, for reachable.
func (s *service) fields(t *ast.TypeSpec) {
	structure, ok := t.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range structure.Fields.List {
		of := strings.NewReplacer("[]", "", "map", "").Replace(typeOf(f.Type))
		for _, name := range f.Names {
			if ast.IsExported(name.Name) {
				s.member(t.Name.Name, name.Name).inType = of
				s.typeOf[of] = of
			}
		}
	}
}
