package random

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

func idResource() plugin.Resource {
	return stored(plugin.Resource{
		Rules: plugin.Rules{"keepers": keepers, "byte_length": {Replace: true, Check: positive}, "prefix": {Replace: true}},
		Create: func(_ context.Context, change *plugin.Change) error {
			b := make([]byte, change.State.Int("byte_length"))
			if _, err := rand.Read(b); err != nil {
				return fmt.Errorf("reading randomness: %w", err)
			}
			setID(change.State, b, change.State.String("prefix"))
			return nil
		},
		Import: func(id string) (plugin.Object, error) {
			o := plugin.Object{}
			prefix := ""
			if at := strings.LastIndex(id, ","); at >= 0 {
				prefix, id = id[:at], id[at+1:]
				o["prefix"] = prefix
			}
			b, err := base64.RawURLEncoding.DecodeString(id)
			if err != nil {
				return nil, fmt.Errorf("importing a random id: it must be in URL-safe base64: %w", err)
			}
			o["byte_length"] = float64(len(b))
			setID(o, b, prefix)
			return o, nil
		},
	})
}

func setID(o plugin.Object, b []byte, prefix string) {
	url := base64.RawURLEncoding.EncodeToString(b)
	o["id"], o["b64_url"] = url, prefix+url
	o["b64_std"] = prefix + base64.StdEncoding.EncodeToString(b)
	o["hex"] = prefix + hex.EncodeToString(b)
	o["dec"] = prefix + new(big.Int).SetBytes(b).String()
}
