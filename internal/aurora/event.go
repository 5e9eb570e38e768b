package aurora

import "time"

// Event is something that happened to a resource, as DescribeEvents tells it.
// Writers: the region for what a user asked for, the controller for the rest.
type Event struct {
	ID         string    `json:"id"` // sorts by time
	Time       time.Time `json:"time"`
	Account    string    `json:"account"`
	Region     string    `json:"region"`
	SourceType string    `json:"sourceType"` // db-cluster, db-instance
	SourceID   string    `json:"sourceId"`   // the identifier that users know
	EventID    string    `json:"eventId"`    // RDS-EVENT-0071
	Categories []string  `json:"categories"`
	Message    string    `json:"message"`
}

// Source types of events.
const (
	SourceDBCluster  = "db-cluster"
	SourceDBInstance = "db-instance"
)
