package cli

import "fmt"

// knowsEndpointURL reports whether the AWS CLI of this "aws --version" line
// reads AWS_ENDPOINT_URL: version 1 does since 1.29, version 2 since 2.13.
func knowsEndpointURL(line string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(line, "aws-cli/%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 2 || (major == 2 && minor >= 13) || (major == 1 && minor >= 29)
}
