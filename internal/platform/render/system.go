package render

// System is what $sys says: the deployment and where it stands.
type System struct {
	ID                string // of the deployment: instance-…
	Region            string
	CloudProviderName string // aws
	AccountID         string
	NetworkID         string // VPC
	CIDRRange         string // of the VPC
	SecurityGroupID   string
	PublicSubnetIDs   []string
	PrivateSubnetIDs  []string
	ResourceID        string
	EnvironmentType   string
	TenantID          string
	TenantEmail       string
	DeterministicSeed string
}

// Tree is the value of $sys.
func (s System) Tree() map[string]any {
	return map[string]any{
		"id":                     s.ID,
		"deterministicSeedValue": s.DeterministicSeed,
		"deploymentCell": map[string]any{
			"region": s.Region, "cloudProviderName": s.CloudProviderName, "cloudProviderNetworkID": s.NetworkID,
			"cidrRange": s.CIDRRange, "securityGroupID": s.SecurityGroupID, "isImported": false,
			"publicSubnetIDs": ids(s.PublicSubnetIDs), "privateSubnetIDs": ids(s.PrivateSubnetIDs),
			"accountTags": map[string]any{}, "aws": map[string]any{"accountNumber": s.AccountID},
			"environmentType": s.EnvironmentType,
		},
		"deployment": map[string]any{
			"resourceID": s.ResourceID, "cloudProvider": s.CloudProviderName, "cloudProviderAccountID": s.AccountID,
		},
		"tenant": map[string]any{"userID": s.TenantID, "email": s.TenantEmail, "name": s.TenantID, "orgId": s.TenantID, "orgID": s.TenantID, "orgName": s.TenantID},
	}
}

func ids(list []string) []any {
	out := make([]any, len(list))
	for i, id := range list {
		out[i] = map[string]any{"id": id}
	}
	return out
}
