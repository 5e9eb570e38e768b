package awswire

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"time"
)

// The AWS SDK for Go closes a request's body when the answer's header arrives. If
// the sender has not looked for the body's end by then, Go's transport takes that
// for a failure and closes the connection, and what it has not read of the answer
// is lost (aws-sdk-go-v2 issue 2737). Between two processes of one machine that is
// common. What fits into the transport's first read is safe; for the rest we give
// the sender time to finish.
const (
	firstRead   = 3 << 10 // bytes of an answer's body that surely come with its header
	senderPause = time.Millisecond
)

// write sends an answer whose headers are set.
func (h *Handler) write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	if len(body) > firstRead/2 && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = h.compress(body)
		w.Header().Set("Content-Encoding", "gzip")
	}
	if len(body) > firstRead {
		time.Sleep(senderPause)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is no error of ours
}

func (h *Handler) compress(body []byte) []byte {
	z, ok := h.compressors.Get().(*gzip.Writer)
	if !ok {
		z, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that there is
	}
	defer h.compressors.Put(z)
	var out bytes.Buffer
	z.Reset(&out)
	_, _ = z.Write(body) // a buffer never fails
	_ = z.Close()
	return out.Bytes()
}
