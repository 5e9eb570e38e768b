package awswire

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// The AWS SDK for Go closes a request's body when the answer's header arrives. If
// the sender has not looked for the body's end by then, Go's transport takes that
// for a failure and closes the connection, and what it has not read of the answer
// is lost (aws-sdk-go-v2 issue 2737). Between two processes of one machine that is
// common. What fits into the transport's first read is safe; for the rest we give
// the sender time to finish, with the processor free for it: the time that we spent
// on the answer does not count. Other clients need not wait.
const (
	firstRead   = 3 << 10 // bytes of an answer's body that surely come with its header
	senderPause = time.Millisecond
	// hastySender begins the User-Agent of the clients that do so.
	hastySender = "aws-sdk-go-v2/"
)

// largestKept bounds the buffers that are kept for the next answer.
const largestKept = 1 << 20

// buffer returns an empty buffer, to be put back when its answer was sent.
func (h *Handler) buffer() *[]byte {
	if buf, ok := h.buffers.Get().(*[]byte); ok && cap(*buf) <= largestKept {
		return buf
	}
	return new([]byte)
}

// write sends an answer whose headers are set.
func (h *Handler) write(w http.ResponseWriter, x *exchange, body []byte) {
	if len(body) > firstRead/2 && strings.Contains(x.request.Header.Get("Accept-Encoding"), "gzip") {
		c := h.compressor()
		defer h.compressors.Put(c)
		body = c.compress(body)
		w.Header().Set("Content-Encoding", "gzip")
	}
	if len(body) > firstRead && strings.Contains(x.request.UserAgent(), hastySender) {
		time.Sleep(senderPause)
	}
	w.WriteHeader(x.status)
	_, _ = w.Write(body) // a client that went away is no error of ours
}

// compressor is a gzip writer with the buffer that it writes to.
type compressor struct {
	gzip *gzip.Writer
	out  bytes.Buffer
}

func (h *Handler) compressor() *compressor {
	if c, ok := h.compressors.Get().(*compressor); ok {
		return c
	}
	c := &compressor{}
	c.gzip, _ = gzip.NewWriterLevel(&c.out, gzip.BestSpeed) // a level that there is
	return c
}

// compress returns what is valid until the compressor is used again.
func (c *compressor) compress(body []byte) []byte {
	c.out.Reset()
	c.gzip.Reset(&c.out)
	_, _ = c.gzip.Write(body) // a buffer never fails
	_ = c.gzip.Close()
	return c.out.Bytes()
}
