package secretsmanager

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

const (
	defaultPassword = 32
	maxPassword     = 4096
)

// GetRandomPassword answers a password of the kinds of characters that are asked
// for, with one of each kind unless that is not wanted.
func (a *API) GetRandomPassword(_ context.Context, in *api.GetRandomPasswordInput) (*api.GetRandomPasswordOutput, error) {
	length := defaultPassword
	if in.PasswordLength != nil {
		if *in.PasswordLength < 1 || *in.PasswordLength > maxPassword {
			return nil, invalidParameter("PasswordLength must be between 1 and %d.", maxPassword)
		}
		length = int(*in.PasswordLength)
	}
	var kinds []string
	for _, kind := range []struct {
		left  *bool
		chars string
	}{
		{in.ExcludeLowercase, "abcdefghijklmnopqrstuvwxyz"},
		{in.ExcludeUppercase, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		{in.ExcludeNumbers, "0123456789"},
		{in.ExcludePunctuation, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"},
		{aws.Bool(!aws.ToBool(in.IncludeSpace)), " "},
	} {
		chars := strings.Map(func(r rune) rune {
			if strings.ContainsRune(aws.ToString(in.ExcludeCharacters), r) {
				return -1
			}
			return r
		}, kind.chars)
		if !aws.ToBool(kind.left) && chars != "" {
			kinds = append(kinds, chars)
		}
	}
	each := in.RequireEachIncludedType == nil || *in.RequireEachIncludedType
	if len(kinds) == 0 || each && len(kinds) > length {
		return nil, invalidParameter("The password length and the characters that are left do not make a password.")
	}
	return &api.GetRandomPasswordOutput{RandomPassword: aws.String(password(kinds, length, each))}, nil
}

func password(kinds []string, length int, each bool) string {
	all, chars := strings.Join(kinds, ""), make([]byte, 0, length)
	if each {
		for _, kind := range kinds {
			chars = append(chars, kind[random(len(kind))])
		}
	}
	for len(chars) < length {
		chars = append(chars, all[random(len(all))])
	}
	for i := len(chars) - 1; i > 0; i-- { // the places of the required ones are random too
		j := random(i + 1)
		chars[i], chars[j] = chars[j], chars[i]
	}
	return string(chars)
}
