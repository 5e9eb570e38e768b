// Package iam holds the actions of AWS IAM: users with access keys, roles,
// policies; and the Directory, which says whom credentials stand for and what
// they may do. It must not know what the other services' actions mean.
package iam
