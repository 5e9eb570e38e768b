package random

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"

	"golang.org/x/crypto/bcrypt"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

// A kind is one of the two resources that make random text: a password is secret and has a hash.
type kind int

const (
	plainString kind = iota
	password
)

const (
	digits   = "0123456789"
	lower    = "abcdefghijklmnopqrstuvwxyz"
	upper    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	specials = "!@#$%&*()-_=+[]{}<>:?"
)

func text(k kind) plugin.Resource {
	on, none := plugin.Rule{Default: true, Replace: true}, plugin.Rule{Default: 0.0, Replace: true}
	return stored(plugin.Resource{
		Rules: plugin.Rules{
			"keepers": keepers, "length": {Replace: true, Check: positive},
			"special": on, "upper": on, "lower": on, "number": {Replace: true}, "numeric": {Replace: true},
			"min_numeric": none, "min_upper": none, "min_lower": none, "min_special": none,
			"override_special": {Replace: true, Keep: func(prior, config any) bool { return prior == "" && config == nil }},
		},
		Validate:  longEnough,
		Customize: numberIsNumeric,
		Create: func(_ context.Context, change *plugin.Change) error {
			result, err := generate(change.State)
			if err != nil {
				return err
			}
			return k.set(change.State, result)
		},
		Import: func(id string) (plugin.Object, error) {
			o := plugin.Object{"length": float64(len(id))}
			for _, name := range []string{"special", "upper", "lower", "number", "numeric"} {
				o[name] = true
			}
			for _, name := range []string{"min_special", "min_upper", "min_lower", "min_numeric"} {
				o[name] = 0.0
			}
			return o, k.set(o, id)
		},
		Upgrade: func(_ int64, state plugin.Object) { k.upgrade(state) },
	})
}

func (k kind) set(o plugin.Object, result string) error {
	o["result"], o["id"] = result, result
	if k != password {
		return nil
	}
	o["id"] = "none"
	// bcrypt hashes 72 bytes at most; a longer password is hashed by its start, as bcrypt always meant it.
	hash, err := bcrypt.GenerateFromPassword([]byte(result[:min(len(result), 72)]), bcrypt.DefaultCost)
	o["bcrypt_hash"] = string(hash)
	if err != nil {
		return fmt.Errorf("hashing the password: %w", err)
	}
	return nil
}

// upgrade completes a state that was written before some attributes were there.
func (k kind) upgrade(o plugin.Object) {
	if o["numeric"] == nil {
		o["numeric"] = o["number"]
	}
	for _, name := range []string{"special", "upper", "lower", "number", "numeric"} {
		if o[name] == nil {
			o[name] = true
		}
	}
	for _, name := range []string{"min_special", "min_upper", "min_lower", "min_numeric"} {
		if o[name] == nil {
			o[name] = 0.0
		}
	}
	if o["length"] == nil {
		o["length"] = float64(len(o.String("result")))
	}
	result := o.String("result")
	if k == password && bcrypt.CompareHashAndPassword([]byte(o.String("bcrypt_hash")), []byte(result[:min(len(result), 72)])) != nil {
		if hash, err := bcrypt.GenerateFromPassword([]byte(result[:min(len(result), 72)]), bcrypt.DefaultCost); err == nil {
			o["bcrypt_hash"] = string(hash)
		}
	}
}

func positive(v any) string {
	if n, ok := v.(float64); ok && n < 1 {
		return "must be at least 1"
	}
	return ""
}

func longEnough(config plugin.Object) error {
	least := config.Int("min_upper") + config.Int("min_lower") + config.Int("min_numeric") + config.Int("min_special")
	if n, known := config["length"].(float64); known && int32(n) < least {
		return &plugin.Problem{Attribute: "length", Summary: "Invalid Attribute Value",
			Detail: fmt.Sprintf("length must be at least the sum of min_upper, min_lower, min_numeric and min_special (%d), got: %g", least, n)}
	}
	if config["number"] != nil && config["numeric"] != nil && config["number"] != config["numeric"] {
		return &plugin.Problem{Attribute: "number", Summary: "Number and numeric are both configured with different values. Number is deprecated, use numeric instead"}
	}
	return nil
}

// numberIsNumeric keeps the old name of an attribute the same as the new one.
func numberIsNumeric(p *plugin.Plan) {
	v := p.Config["numeric"]
	if v == nil {
		v = p.Config["number"]
	}
	if v == nil {
		v = true
	}
	p.Planned["number"], p.Planned["numeric"] = v, v
}

// generate makes a text of the asked length with the asked number of characters of each class.
func generate(o plugin.Object) (string, error) {
	special := specials
	if o.Has("override_special") {
		special = o.String("override_special")
	}
	var alphabet string
	var result []byte
	for _, class := range []struct{ name, least, chars string }{
		{"upper", "min_upper", upper}, {"lower", "min_lower", lower}, {"numeric", "min_numeric", digits}, {"special", "min_special", special},
	} {
		if o.Bool(class.name) {
			alphabet += class.chars
		}
		for range o.Int(class.least) {
			result = append(result, pick(class.chars))
		}
	}
	if alphabet == "" && len(result) < int(o.Int("length")) {
		return "", &plugin.Problem{Attribute: "length", Summary: "no class of characters is left to choose from"}
	}
	for len(result) < int(o.Int("length")) {
		result = append(result, pick(alphabet))
	}
	for i := len(result) - 1; i > 0; i-- {
		j := below(i + 1)
		result[i], result[j] = result[j], result[i]
	}
	return string(result), nil
}

func pick(chars string) byte { return chars[below(len(chars))] }

// below returns a number in [0, n). The system's randomness does not fail.
func below(n int) int {
	i, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err)
	}
	return int(i.Int64())
}
