// Package sns holds the actions of Amazon SNS for topics with http and https
// subscriptions, and delivers what is published. Deliveries are stored before
// Publish answers, so that a crash loses none. It must not know who publishes.
package sns
