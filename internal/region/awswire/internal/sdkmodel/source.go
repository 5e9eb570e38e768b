package sdkmodel

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
)

// member is what the SDK's source says of a structure's field.
type member struct {
	in, out  string
	inType   string // the function that writes what is below
	outType  string // the function that reads what is below
	required bool
}

// service is what the SDK's source says of a service.
type service struct {
	results map[string]string             // operation → result element
	paths   map[string]string             // operation → path of its requests, if it has one of its own
	members map[string]map[string]*member // type → field
	items   map[string]string             // list function → item name
	typeOf  map[string]string             // function → the type it is for, [] before an element's
}

func newService() *service {
	return &service{
		results: map[string]string{}, paths: map[string]string{}, members: map[string]map[string]*member{},
		items: map[string]string{}, typeOf: map[string]string{},
	}
}

func parseService(dir string) (*service, error) {
	if hasSchemas(dir) {
		return parseSchemas(dir)
	}
	s := newService()
	for file, read := range map[string]func(*ast.FuncDecl){
		"serializers.go": s.serializer, "deserializers.go": s.deserializer, "validators.go": s.validator,
	} {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range parsed.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				read(f)
			}
		}
	}
	return s, nil
}

func (s *service) member(typeName, field string) *member {
	fields := s.members[typeName]
	if fields == nil {
		fields = map[string]*member{}
		s.members[typeName] = fields
	}
	if fields[field] == nil {
		fields[field] = &member{}
	}
	return fields[field]
}

// serializer reads the names of members in requests:
//
//	if v.Description != nil { objectKey := object.Key("GroupDescription"); … }
func (s *service) serializer(f *ast.FuncDecl) {
	if f.Name.Name == "HandleSerialize" {
		s.path(f)
		return
	}
	if !strings.Contains(f.Name.Name, "_serializeDocument") && !strings.Contains(f.Name.Name, "_serializeOpDocument") {
		return
	}
	typeName := paramType(f)
	s.typeOf[f.Name.Name] = typeName
	for _, stmt := range f.Body.List {
		if of, ok := stmt.(*ast.TypeSwitchStmt); ok {
			s.union(typeName, of)
		}
		cond, ok := stmt.(*ast.IfStmt)
		if !ok {
			continue
		}
		field, key := selected(cond.Cond, "v"), ""
		calls(cond.Body, func(call *ast.CallExpr, name string) {
			if name == "Key" || name == "FlatKey" {
				key = literal(call.Args[0])
			}
			if strings.Contains(name, "_serializeDocument") {
				s.member(typeName, field).inType = name
			}
		})
		if field != "" && key != "" {
			s.member(typeName, field).in = key
		}
	}
}

// union reads the names of a union's members, one of which is sent:
//
//	case *types.FieldMemberLongValue: av := object.Key("longValue"); …
//
// A member is noted as a field of the union that is called as its Go type.
func (s *service) union(typeName string, of *ast.TypeSwitchStmt) {
	for _, stmt := range of.Body.List {
		c, ok := stmt.(*ast.CaseClause)
		if !ok || len(c.List) != 1 {
			continue
		}
		calls(&ast.BlockStmt{List: c.Body}, func(call *ast.CallExpr, name string) {
			m := s.member(typeName, typeOf(c.List[0]))
			if name == "Key" {
				m.in, m.out = literal(call.Args[0]), literal(call.Args[0])
			}
			if strings.Contains(name, "_serializeDocument") {
				m.inType = name
			}
		})
	}
}

// path reads httpbinding.SplitURI("/Execute").
func (s *service) path(f *ast.FuncDecl) {
	_, operation, ok := strings.Cut(receiver(f), "_serializeOp")
	if !ok {
		return
	}
	calls(f.Body, func(call *ast.CallExpr, name string) {
		if name == "SplitURI" {
			s.paths[operation] = literal(call.Args[0])
		}
	})
}

// deserializer reads the names of members in answers, those of list items, and
// the result elements of operations.
func (s *service) deserializer(f *ast.FuncDecl) {
	name := f.Name.Name
	switch {
	case name == "HandleDeserialize":
		s.operation(f)
	case strings.HasSuffix(name, "Unwrapped"):
	case strings.Contains(name, "_deserializeDocument"), strings.Contains(name, "_deserializeOpDocument"):
		typeName := paramType(f)
		s.typeOf[name] = typeName
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if c, ok := n.(*ast.CaseClause); ok && len(c.List) == 1 {
				s.clause(name, typeName, c)
			}
			return true
		})
	}
}

// clause reads one case strings.EqualFold("groupId", t.Name.Local), or in JSON one
// case "groupId".
func (s *service) clause(function, typeName string, c *ast.CaseClause) {
	wire := literal(c.List[0])
	if call, ok := c.List[0].(*ast.CallExpr); ok && len(call.Args) == 2 {
		wire = literal(call.Args[0])
	}
	if wire == "" {
		return
	}
	if strings.HasPrefix(typeName, "[]") {
		s.items[function] = wire
		return
	}
	if strings.HasPrefix(typeName, "map[") {
		return
	}
	block := &ast.BlockStmt{List: c.Body}
	field := selected(block, "sv")
	if field == "" {
		return
	}
	m := s.member(typeName, field)
	m.out = wire
	calls(block, func(_ *ast.CallExpr, name string) {
		if strings.Contains(name, "_deserializeDocument") {
			m.outType = name
		}
	})
}

// operation reads decoder.GetElement("DescribeDBClustersResult").
func (s *service) operation(f *ast.FuncDecl) {
	_, operation, ok := strings.Cut(receiver(f), "_deserializeOp")
	if !ok {
		return
	}
	s.results[operation] = ""
	calls(f.Body, func(call *ast.CallExpr, name string) {
		if name == "GetElement" {
			s.results[operation] = literal(call.Args[0])
		}
	})
}

// validator reads if v.Engine == nil { invalidParams.Add(…Required("Engine")) }.
func (s *service) validator(f *ast.FuncDecl) {
	if !strings.HasPrefix(f.Name.Name, "validate") || f.Recv != nil {
		return
	}
	typeName := paramType(f)
	ast.Inspect(f.Body, func(n ast.Node) bool {
		cond, ok := n.(*ast.IfStmt)
		if !ok {
			return true
		}
		calls(cond.Body, func(call *ast.CallExpr, name string) {
			if name == "NewErrParamRequired" && selected(cond.Cond, "v") != "" {
				s.member(typeName, literal(call.Args[0])).required = true
			}
		})
		return true
	})
}

// paramType is the type of the first parameter without pointers and package.
func paramType(f *ast.FuncDecl) string {
	if f.Type.Params == nil || len(f.Type.Params.List) == 0 {
		return ""
	}
	return typeOf(f.Type.Params.List[0].Type)
}

func typeOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeOf(e.X)
	case *ast.ArrayType:
		return "[]" + typeOf(e.Elt)
	case *ast.MapType:
		return "map[]" + typeOf(e.Value)
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return fmt.Sprintf("%T", e)
}

func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return ""
	}
	return typeOf(f.Recv.List[0].Type)
}

// selected is the first field of the variable that is named under n.
func selected(n ast.Node, variable string) string {
	field := ""
	ast.Inspect(n, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && field == "" {
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == variable {
				field = sel.Sel.Name
			}
		}
		return field == ""
	})
	return field
}

func calls(n ast.Node, visit func(call *ast.CallExpr, name string)) {
	ast.Inspect(n, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch fun := call.Fun.(type) {
		case *ast.Ident:
			visit(call, fun.Name)
		case *ast.SelectorExpr:
			visit(call, fun.Sel.Name)
		}
		return true
	})
}

func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return text
}
