package catalog

import (
	"context"
	"slices"
	"strings"
)

func secretKey(environmentType, name string) string {
	return strings.ToUpper(environmentType) + "/" + name
}

func checkSecret(environmentType, name string) error {
	if !slices.Contains(environmentTypes, strings.ToUpper(environmentType)) {
		return invalid("environment type %q: want %s", environmentType, strings.Join(environmentTypes, ", "))
	}
	if name == "" || len(name) > 100 || strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return invalid("%q cannot be a secret's name: want letters, digits, _ and -", name)
	}
	return nil
}

// SetSecret keeps a secret of an environment type, sealed.
func (c *Catalog) SetSecret(ctx context.Context, environmentType, name, value string) error {
	if err := checkSecret(environmentType, name); err != nil {
		return err
	}
	key := secretKey(environmentType, name)
	sealed := c.Keyring.Seal([]byte(value), "secret/"+key)
	if _, err := c.secrets.Create(ctx, key, sealed); err == nil {
		return nil
	}
	_, err := c.secrets.Update(ctx, key, func(v *[]byte) error { *v = sealed; return nil })
	return err
}

// Secret returns one's value.
func (c *Catalog) Secret(ctx context.Context, environmentType, name string) (string, error) {
	if err := checkSecret(environmentType, name); err != nil {
		return "", err
	}
	key := secretKey(environmentType, name)
	sealed, err := get(ctx, c.secrets, "secret", key)
	if err != nil {
		return "", err
	}
	plain, err := c.Keyring.Open(sealed, "secret/"+key)
	return string(plain), err
}

// Secrets are the names and values of an environment type.
func (c *Catalog) Secrets(ctx context.Context, environmentType string) (map[string]string, error) {
	prefix := secretKey(environmentType, "")
	items, _, err := c.secrets.List(ctx, prefix)
	out := map[string]string{}
	for _, item := range items {
		plain, err := c.Keyring.Open(item.Value, "secret/"+item.Key)
		if err != nil {
			return nil, err
		}
		out[strings.TrimPrefix(item.Key, prefix)] = string(plain)
	}
	return out, err
}

// DeleteSecret removes one. One that is not there is no error.
func (c *Catalog) DeleteSecret(ctx context.Context, environmentType, name string) error {
	if err := checkSecret(environmentType, name); err != nil {
		return err
	}
	return c.secrets.Delete(ctx, secretKey(environmentType, name))
}
