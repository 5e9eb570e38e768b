package parameter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// maxValue is the longest value, in bytes.
const maxValue = 4096

// Check says what is wrong with a value.
func (p *Parameter) Check(value string) error {
	switch {
	case value == "" && p.Type != "string":
		return fmt.Errorf("it has no value")
	case len(value) > maxValue:
		return fmt.Errorf("it is longer than %d bytes", maxValue)
	case strings.ContainsFunc(value, unicode.IsControl):
		return fmt.Errorf("it has a control character")
	}
	switch p.Type {
	case "boolean":
		if _, ok := boolean(value); !ok {
			return fmt.Errorf("it is not one of %s", p.Allowed)
		}
	case "integer", "float":
		return p.checkNumber(value)
	default:
		return p.checkWord(value)
	}
	return nil
}

// boolean reads what PostgreSQL takes for yes and no.
func boolean(value string) (on, ok bool) {
	switch strings.ToLower(value) {
	case "1", "on", "true", "yes":
		return true, true
	case "0", "off", "false", "no":
		return false, true
	}
	return false, false
}

func (p *Parameter) checkNumber(value string) error {
	if IsFormula(value) {
		_, err := Evaluate(value, Class{Memory: 16 << 30, VCPUs: 2})
		return err
	}
	n, err := strconv.ParseFloat(value, 64)
	if p.Type == "integer" {
		var i int64
		i, err = strconv.ParseInt(value, 10, 64)
		n = float64(i)
	}
	if err != nil {
		return fmt.Errorf("it is no %s", p.Type)
	}
	low, high, ok := p.Range()
	if ok && !(n >= low && n <= high) {
		return fmt.Errorf("it is not in the range %s", p.Allowed)
	}
	return nil
}

// Range are the bounds of a number.
func (p *Parameter) Range() (low, high float64, ok bool) {
	if p.Type != "integer" && p.Type != "float" || p.Allowed == "" {
		return 0, 0, false
	}
	from, to, ok := strings.Cut(p.Allowed[1:], "-") // the first may be a minus sign
	if !ok {
		return 0, 0, false
	}
	low, err1 := strconv.ParseFloat(p.Allowed[:1]+from, 64)
	high, err2 := strconv.ParseFloat(to, 64)
	return low, high, err1 == nil && err2 == nil
}

func (p *Parameter) checkWord(value string) error {
	if p.Allowed == "" {
		return nil
	}
	if !slices.ContainsFunc(strings.Split(p.Allowed, ","), func(a string) bool { return strings.EqualFold(a, value) }) {
		return fmt.Errorf("it is not one of %s", p.Allowed)
	}
	return nil
}
