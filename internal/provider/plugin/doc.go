// Package plugin serves Terraform's provider protocol 5 for resources that are described by data.
//
// The schemas of a provider are a text file of facts (name, type, flags), so that they can be compared
// with the original's, attribute by attribute. What a schema cannot say (defaults, what forces a
// replacement, when two values mean the same) stands in a [Rule] per attribute. Planning, legacy
// semantics included, is then one function for all resources, and a resource is left with five
// functions that talk to its API.
//
// It stands directly on terraform-plugin-go. The higher frameworks cannot express what hashicorp/aws
// has: blocks that are attributes, null and empty being the same, and Terraform's tolerance for both.
//
// It must not know any provider or any API.
package plugin
