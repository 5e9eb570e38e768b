// Package aurora holds the nouns that the region and the data plane share:
// DB clusters, DB instances, security groups and hosts, with the rules that
// follow from them alone (endpoint names, instance classes, statuses).
//
// The region writes a noun's Spec, the controller its Status and the node its
// server report; the comment of each field names its one writer. The package is
// pure: it does no input or output, and it imports the standard library only.
package aurora
