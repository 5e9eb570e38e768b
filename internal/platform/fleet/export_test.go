package fleet

// Route is what tests know of a route.
type Route struct {
	Method, Path, Operation string
	Open, Provider          bool
	Writes                  bool
}

// Routes are all of a server.
func Routes(s *Server) []Route {
	var out []Route
	for _, r := range s.routes() {
		out = append(out, Route{r.Method, r.Path, r.Operation, r.open, r.provider, r.role != reads})
	}
	return out
}
