package parameter

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Class is what formulas know of a DB instance.
type Class struct {
	Memory int64 // bytes
	VCPUs  int
}

// IsFormula says whether a value is to be evaluated.
func IsFormula(value string) bool { return strings.ContainsAny(value, "{(") }

// maxDepth bounds how deep functions and parentheses are nested.
const maxDepth = 16

// Evaluate computes a formula ("Specifying DB parameters" of the RDS User Guide):
//
//	item       number | "{" expression "}" | function "(" item {"," item} ")"
//	function   GREATEST | LEAST | SUM
//	expression factor {("*" | "/") factor}
//	factor     number | variable | "log" "(" expression ")" | "(" expression ")"
//	variable   DBInstanceClassMemory | DBInstanceVCPU
//
// log is of base 2; what stands in braces is cut to a whole number.
func Evaluate(formula string, class Class) (int64, error) {
	f := &formulaReader{rest: formula, class: class}
	n, err := f.item(0)
	if err == nil && f.skip() != "" {
		err = fmt.Errorf("%q is not expected", f.rest)
	}
	if err == nil && (math.IsNaN(n) || math.Abs(n) > math.MaxInt64/2) {
		err = errors.New("its value is no number")
	}
	if err != nil {
		return 0, fmt.Errorf("it is no valid formula: %w", err)
	}
	return int64(n), nil
}

type formulaReader struct {
	rest  string
	class Class
}

// skip passes spaces and returns what is left.
func (f *formulaReader) skip() string {
	f.rest = strings.TrimLeft(f.rest, " ")
	return f.rest
}

// take passes a token if it comes next.
func (f *formulaReader) take(token string) bool {
	rest, ok := strings.CutPrefix(f.skip(), token)
	if ok {
		f.rest = rest
	}
	return ok
}

func (f *formulaReader) want(token string) error {
	if !f.take(token) {
		return fmt.Errorf("%q is missing", token)
	}
	return nil
}

func (f *formulaReader) item(depth int) (float64, error) {
	if depth > maxDepth {
		return 0, errors.New("it is nested too deeply")
	}
	if f.take("{") {
		n, err := f.expression(depth + 1)
		if err == nil {
			err = f.want("}")
		}
		return math.Trunc(n), err
	}
	word := f.word()
	if word == "" {
		return f.number()
	}
	var combine func(a, b float64) float64
	switch strings.ToUpper(word) {
	case "GREATEST":
		combine = math.Max
	case "LEAST":
		combine = math.Min
	case "SUM":
		combine = func(a, b float64) float64 { return a + b }
	default:
		return 0, fmt.Errorf("there is no function %s", word)
	}
	if err := f.want("("); err != nil {
		return 0, err
	}
	n, err := f.item(depth + 1)
	for err == nil && f.take(",") {
		var next float64
		if next, err = f.item(depth + 1); err == nil {
			n = combine(n, next)
		}
	}
	if err == nil {
		err = f.want(")")
	}
	return n, err
}

func (f *formulaReader) expression(depth int) (float64, error) {
	n, err := f.factor(depth)
	for err == nil {
		times := f.take("*")
		if !times && !f.take("/") {
			return n, nil
		}
		var next float64
		switch next, err = f.factor(depth); {
		case err != nil:
		case times:
			n *= next
		case next == 0:
			err = errors.New("it divides by zero")
		default:
			n /= next
		}
	}
	return n, err
}

func (f *formulaReader) factor(depth int) (float64, error) {
	if depth > maxDepth {
		return 0, errors.New("it is nested too deeply")
	}
	f.take("$")
	word := f.word()
	switch strings.ToLower(word) {
	case "dbinstanceclassmemory":
		return float64(f.class.Memory), nil
	case "dbinstancevcpu":
		return float64(f.class.VCPUs), nil
	case "log", "":
		if word == "" && !strings.HasPrefix(f.skip(), "(") {
			return f.number()
		}
		if err := f.want("("); err != nil {
			return 0, err
		}
		n, err := f.expression(depth + 1)
		if err == nil {
			err = f.want(")")
		}
		if word != "" {
			n = math.Log2(n)
		}
		return n, err
	}
	return 0, fmt.Errorf("there is no variable %s", word)
}

// word passes letters.
func (f *formulaReader) word() string {
	rest := f.skip()
	end := 0
	for end < len(rest) && (rest[end]|' ' >= 'a' && rest[end]|' ' <= 'z') {
		end++
	}
	f.rest = rest[end:]
	return rest[:end]
}

func (f *formulaReader) number() (float64, error) {
	rest := f.skip()
	end := 0
	for end < len(rest) && (rest[end] >= '0' && rest[end] <= '9' || rest[end] == '.' || end == 0 && rest[end] == '-') {
		end++
	}
	n, err := strconv.ParseFloat(rest[:end], 64)
	if err != nil {
		return 0, fmt.Errorf("a number is missing at %q", rest)
	}
	f.rest = rest[end:]
	return n, nil
}
