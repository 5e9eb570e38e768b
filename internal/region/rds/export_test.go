package rds

// Verifies is for tests.
var Verifies = verifies
