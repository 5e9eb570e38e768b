package fleet

// What clients can ask for and this installation does not have. Each says why; the
// clients show that.

const (
	noBackups = "snapshots of instances are not supported yet"
	noWords   = "an instance of a Terraform stack does not have this operation"
)

func (s *Server) refusedRoutes() []route {
	one := "/fleet/service/{serviceId}/environment/{environmentId}/instance/{instanceId}"
	of := "/fleet/service/{serviceId}/environment/{environmentId}/snapshot"
	var out []route
	add := func(method, path, operation, why string, instance bool) {
		out = append(out, route{Method: method, Path: path, Operation: operation, role: reads, handle: func(c *call) (any, error) {
			if instance {
				if _, err := s.instance(c); err != nil {
					return nil, err
				}
			}
			return nil, invalid("%s", why)
		}})
	}
	add("POST", one+"/autosnapshot", "triggerSnapshot", noBackups, true)
	add("POST", one+"/snapshot", "createSnapshot", noBackups, true)
	add("POST", one+"/copy-snapshot", "copySnapshot", noBackups, true)
	add("GET", one+"/snapshot", "listInstanceSnapshots", noBackups, true)
	add("GET", one+"/snapshot/{snapshotId}", "describeSnapshot", noBackups, true)
	add("GET", of, "listSnapshots", noBackups, false)
	add("DELETE", of+"/{snapshotId}", "deleteSnapshot", noBackups, false)
	add("POST", of+"/{snapshotId}/restore", "restoreSnapshot", noBackups, false)
	add("POST", one+"/failover", "failover", "fail over with the AWS API: FailoverDBCluster", true)
	add("POST", one+"/add-capacity", "addCapacity", noWords+"; change its parameters", true)
	add("POST", one+"/remove-capacity", "removeCapacity", noWords+"; change its parameters", true)
	add("POST", one+"/custom-workflow/{workflowId}/execute", "customWorkflow", noWords, true)
	add("GET", one+"/installer", "installer", noWords, true)
	add("POST", one+"/debug-mode", "debugMode", noWords, true)
	add("GET", "/fleet/host-cluster/{id}/kubeconfig", "kubeconfig", "the deployment cell has no Kubernetes; what Terraform said: daybreak logs INSTANCE", false)
	add("PUT", "/service/composespec", "buildComposeSpec", "Docker Compose specs are not supported: build a service plan spec with a Terraform stack", false)
	add("POST", "/accountconfig", "createAccountConfig", "accounts of customers are not supported yet: instances stand in the region of this installation", false)
	add("POST", "/login-with-identity-provider", "loginWithIdentityProvider", "sign in with an e-mail address and password, or an API key", false)
	for _, cost := range []string{"cloud-provider", "region", "deployment-cell", "user"} {
		add("GET", "/fleet/cost/"+cost, "cost", "costs are not known here", false)
	}
	for i := range out {
		if out[i].Path == "/login-with-identity-provider" {
			out[i].open = true
		}
	}
	return out
}
