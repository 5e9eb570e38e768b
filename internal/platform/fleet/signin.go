package fleet

import (
	"net/http"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/account"
)

type signinRequest struct {
	Email          string `json:"email"`
	Password       string `json:"password,omitempty"`
	HashedPassword string `json:"hashedPassword,omitempty"`
}

type tokensReply struct {
	JWTToken     string `json:"jwtToken"`
	RefreshToken string `json:"refreshToken"`
}

type refreshRequest struct {
	RefreshToken string `json:"refreshToken"`
}

type userReply struct {
	ID        string          `json:"id"`
	Email     string          `json:"email"`
	Name      string          `json:"name"`
	OrgID     string          `json:"orgId"`
	OrgName   string          `json:"orgName"`
	RoleType  string          `json:"roleType"`
	Status    string          `json:"status"`
	Enabled   bool            `json:"enabled"`
	Features  map[string]bool `json:"featureFlags"`
	CreatedAt string          `json:"createdAt,omitempty"`
}

type apiKeyMetadata struct {
	ID              string `json:"id"`
	Name            string `json:"name"`
	Description     string `json:"description,omitempty"`
	Prefix          string `json:"prefix"`
	RoleType        string `json:"roleType"`
	Status          string `json:"status"`
	CreatedAt       string `json:"createdAt"`
	CreatedByUserID string `json:"createdByUserId"`
	ExpiresAt       string `json:"expiresAt,omitempty"`
	RevokedAt       string `json:"revokedAt,omitempty"`
}

type apiKeyRequest struct {
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	RoleType    string     `json:"roleType"`
	ExpiresAt   *time.Time `json:"expiresAt,omitempty"`
}

type apiKeyChange struct {
	Name        *string `json:"name,omitempty"`
	Description *string `json:"description,omitempty"`
}

type apiKeyMade struct {
	ID       string         `json:"id"`
	Key      string         `json:"key"`
	Metadata apiKeyMetadata `json:"metadata"`
}

type apiKeyReply struct {
	Metadata apiKeyMetadata `json:"metadata"`
}

type apiKeysReply struct {
	APIKeys []apiKeyMetadata `json:"apiKeys"`
}

func (s *Server) signInRoutes() []route {
	return []route{
		{Method: "POST", Path: "/signin", Operation: "signin", open: true, request: signinRequest{}, reply: tokensReply{}, handle: s.signin},
		{Method: "POST", Path: "/refresh-token", Operation: "refreshToken", open: true, request: refreshRequest{}, reply: tokensReply{}, handle: s.refresh},
		{Method: "POST", Path: "/revoke-token", Operation: "revokeToken", open: true, status: http.StatusNoContent, request: refreshRequest{}, handle: s.revoke},
		{Method: "GET", Path: "/user", Operation: "describeUser", role: reads, reply: userReply{}, handle: s.user},
		{Method: "GET", Path: "/api-key", Operation: "listAPIKeys", role: reads, reply: apiKeysReply{}, handle: s.apiKeys},
		{Method: "POST", Path: "/api-key", Operation: "createAPIKey", role: reads, request: apiKeyRequest{}, reply: apiKeyMade{}, handle: s.createAPIKey},
		{Method: "GET", Path: "/api-key/{id}", Operation: "describeAPIKey", role: reads, reply: apiKeyReply{}, handle: s.apiKey},
		{Method: "PATCH", Path: "/api-key/{id}", Operation: "updateAPIKeyMetadata", role: reads, request: apiKeyChange{}, reply: apiKeyReply{}, handle: s.changeAPIKey},
		{Method: "DELETE", Path: "/api-key/{id}", Operation: "deleteAPIKey", role: reads, status: http.StatusNoContent, handle: s.deleteAPIKey},
		// The path is /api-key/{id}:revoke, which is one segment.
		{Method: "POST", Path: "/api-key/{id}", Operation: "revokeAPIKey", role: reads, reply: apiKeyReply{}, handle: s.revokeAPIKey},
	}
}

func (s *Server) signin(c *call) (any, error) {
	var req signinRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	if req.HashedPassword != "" {
		return nil, invalid("hashedPassword: passwords are taken as they are; give password")
	}
	t, err := s.Accounts.SignIn(c.ctx(), req.Email, req.Password, c.from())
	if err == nil {
		c.who, err = s.Accounts.Authenticate(c.ctx(), t.Token)
	}
	return tokensReply{t.Token, t.Refresh}, err
}

func (s *Server) refresh(c *call) (any, error) {
	var req refreshRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	t, err := s.Accounts.Refresh(c.ctx(), req.RefreshToken)
	return tokensReply{t.Token, t.Refresh}, err
}

func (s *Server) revoke(c *call) (any, error) {
	var req refreshRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	return nil, s.Accounts.Revoke(c.ctx(), req.RefreshToken)
}

func (s *Server) user(c *call) (any, error) {
	return userReply{
		ID: c.who.UserID, Email: c.who.Email, Name: c.who.Name, OrgID: c.who.OrgID, OrgName: c.who.OrgName, RoleType: string(c.who.Role),
		Status: "ACTIVE", Enabled: true, Features: map[string]bool{},
	}, nil
}

func text(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func keyView(k account.APIKey) apiKeyMetadata {
	status := "ACTIVE"
	switch {
	case !k.Revoked.IsZero():
		status = "REVOKED"
	case !k.Expires.IsZero() && time.Now().After(k.Expires):
		status = "EXPIRED"
	}
	return apiKeyMetadata{
		ID: k.ID, Name: k.Name, Description: k.Description, Prefix: k.Prefix, RoleType: string(k.Role), Status: status,
		CreatedAt: text(k.CreateTime), CreatedByUserID: k.UserID, ExpiresAt: text(k.Expires), RevokedAt: text(k.Revoked),
	}
}

func (s *Server) apiKeys(c *call) (any, error) {
	keys, err := s.Accounts.APIKeys(c.ctx(), c.who.UserID)
	out := apiKeysReply{APIKeys: []apiKeyMetadata{}}
	for _, k := range keys {
		out.APIKeys = append(out.APIKeys, keyView(k))
	}
	return out, err
}

func (s *Server) createAPIKey(c *call) (any, error) {
	var req apiKeyRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	k := account.APIKey{Name: req.Name, Description: req.Description, Role: account.Role(req.RoleType)}
	if req.ExpiresAt != nil {
		k.Expires = req.ExpiresAt.UTC()
	}
	key, made, err := s.Accounts.CreateAPIKey(c.ctx(), c.who, k)
	return apiKeyMade{made.ID, key, keyView(made)}, err
}

func (s *Server) apiKey(c *call) (any, error) {
	k, err := s.Accounts.APIKey(c.ctx(), c.who.UserID, c.PathValue("id"))
	return apiKeyReply{keyView(k)}, err
}

func (s *Server) changeAPIKey(c *call) (any, error) {
	var req apiKeyChange
	if err := c.read(&req); err != nil {
		return nil, err
	}
	k, err := s.Accounts.ChangeAPIKey(c.ctx(), c.who.UserID, c.PathValue("id"), func(k *account.APIKey) {
		if req.Name != nil && *req.Name != "" {
			k.Name = *req.Name
		}
		if req.Description != nil {
			k.Description = *req.Description
		}
	})
	return apiKeyReply{keyView(k)}, err
}

func (s *Server) deleteAPIKey(c *call) (any, error) {
	return nil, s.Accounts.DeleteAPIKey(c.ctx(), c.who.UserID, c.PathValue("id"))
}

func (s *Server) revokeAPIKey(c *call) (any, error) {
	id, ok := strings.CutSuffix(c.PathValue("id"), ":revoke")
	if !ok {
		return nil, notFound("operation", "POST on an API key but :revoke")
	}
	k, err := s.Accounts.RevokeAPIKey(c.ctx(), c.who.UserID, id)
	return apiKeyReply{keyView(k)}, err
}
