package fleet

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// pathParameter is a variable part of a route's path.
var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

// OpenAPI is the document of what is served. It is made of the routes, so that it
// cannot say anything else.
func (s *Server) OpenAPI() map[string]any {
	schemas := map[string]any{"Error": schemaOf(reflect.TypeFor[apiError](), nil)}
	paths := map[string]map[string]any{}
	for _, r := range s.routes() {
		if paths[r.Path] == nil {
			paths[r.Path] = map[string]any{}
		}
		paths[r.Path][strings.ToLower(r.Method)] = operationOf(r, schemas)
	}
	return map[string]any{
		"openapi": "3.0.3",
		"info":    map[string]any{"title": "Daybreak: what Omnistrate's clients call", "version": strings.TrimPrefix(Prefix, "/")},
		"servers": []any{map[string]any{"url": Prefix}},
		"paths":   paths,
		"components": map[string]any{
			"schemas":         schemas,
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
		},
	}
}

func operationOf(r route, schemas map[string]any) map[string]any {
	answer := map[string]any{"description": "done"}
	if r.reply != nil {
		answer["content"] = jsonOf(schemaOf(reflect.TypeOf(r.reply), schemas))
	}
	op := map[string]any{
		"operationId": r.Operation,
		"responses": map[string]any{
			fmt.Sprint(r.success()): answer,
			"default":               map[string]any{"description": "refused", "content": jsonOf(map[string]any{"$ref": "#/components/schemas/Error"})},
		},
		"x-role": string(r.role),
	}
	if !r.open {
		op["security"] = []any{map[string]any{"token": []string{}}}
	}
	if r.provider {
		op["x-provider-only"] = true
	}
	var parameters []any
	for _, match := range pathParameter.FindAllStringSubmatch(r.Path, -1) {
		parameters = append(parameters, map[string]any{"name": match[1], "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
	}
	if parameters != nil {
		op["parameters"] = parameters
	}
	if r.request != nil {
		op["requestBody"] = map[string]any{"content": jsonOf(schemaOf(reflect.TypeOf(r.request), schemas))}
	}
	return op
}

func jsonOf(schema map[string]any) map[string]any {
	return map[string]any{"application/json": map[string]any{"schema": schema}}
}

// schemaOf describes a type. A struct is described once, under its name.
func schemaOf(t reflect.Type, schemas map[string]any) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return schemaOf(t.Elem(), schemas)
	case t.Kind() == reflect.Struct && t.Name() != "" && schemas != nil:
		name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
		if schemas[name] == nil {
			schemas[name] = map[string]any{} // for types that hold themselves
			schemas[name] = structOf(t, schemas)
		}
		return map[string]any{"$ref": "#/components/schemas/" + name}
	case t.Kind() == reflect.Struct:
		return structOf(t, schemas)
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem(), schemas)}
	case t.Kind() == reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem(), schemas)}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case t.Kind() == reflect.String:
		return map[string]any{"type": "string"}
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		return map[string]any{"type": "integer", "format": "int64"}
	}
	return map[string]any{}
}

// structOf describes a struct's fields: those that are not left out when they are
// empty are required.
func structOf(t reflect.Type, schemas map[string]any) map[string]any {
	properties, required := map[string]any{}, []string{}
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "" {
			continue
		}
		properties[name] = schemaOf(t.Field(i).Type, schemas)
		if !strings.Contains(options, "omitempty") {
			required = append(required, name)
		}
	}
	out := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}
