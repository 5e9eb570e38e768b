package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/daybreakdb/daybreak/internal/blob"
)

// Store keeps the objects of one cluster.
type Store struct {
	Blobs   blob.Store
	Cluster string // resource id
	// Cipher encrypts the objects of an encrypted cluster; nil: they are not.
	Cipher Cipher
}

// Cipher encrypts what a cluster's objects hold, and refuses what it did not
// encrypt under that name.
type Cipher interface {
	Seal(plain []byte, name string) ([]byte, error)
	Open(sealed []byte, name string) ([]byte, error)
}

// DamagedError names an object that is not what was written.
type DamagedError struct{ Object, Reason string }

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the object %s is damaged: %s", e.Object, e.Reason)
}

// ErrKey says that an object cannot be read with the key that there is.
var ErrKey = errors.New("the object is encrypted with another key")

// A frame is what is stored as an object: magic, flags, the checksum of the name
// and of all that follows it, and the content, compressed.
const (
	frameMagic  = "DBK1"
	frameSealed = 1
	frameHeader = len(frameMagic) + 1 + sha256.Size
)

var (
	encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false))
	decoder, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(1<<30))
)

// Name is the full name of an object of the cluster.
func (s Store) Name(of string) string { return "clusters/" + s.Cluster + "/" + of }

// put stores an object and returns how long it is there.
func (s Store) put(ctx context.Context, of string, content []byte) (stored int64, err error) {
	name := s.Name(of)
	frame, err := s.frame(name, content)
	if err != nil {
		return 0, err
	}
	if err := s.Blobs.Put(ctx, name, frame); err != nil {
		return 0, fmt.Errorf("store %s: %w", name, err)
	}
	return int64(len(frame)), nil
}

func (s Store) frame(name string, content []byte) ([]byte, error) {
	frame := make([]byte, frameHeader, frameHeader+len(content)/2+64)
	copy(frame, frameMagic)
	frame = encoder.EncodeAll(content, frame)
	if s.Cipher != nil {
		sealed, err := s.Cipher.Seal(frame[frameHeader:], name)
		if err != nil {
			return nil, fmt.Errorf("encrypt %s: %w", name, err)
		}
		frame = append(frame[:frameHeader], sealed...)
		frame[len(frameMagic)] |= frameSealed
	}
	sum := frameSum(name, frame)
	copy(frame[len(frameMagic)+1:], sum[:])
	return frame, nil
}

func frameSum(name string, frame []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(name))
	h.Write([]byte{0, frame[len(frameMagic)]})
	h.Write(frame[frameHeader:])
	return [sha256.Size]byte(h.Sum(nil))
}

// get reads an object, or says what is wrong with it.
func (s Store) get(ctx context.Context, of string) ([]byte, error) {
	name := s.Name(of)
	frame, err := s.Blobs.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(frame) < frameHeader || string(frame[:len(frameMagic)]) != frameMagic {
		return nil, &DamagedError{name, "it does not begin as an object of a backup"}
	}
	if sum := frameSum(name, frame); !bytes.Equal(sum[:], frame[len(frameMagic)+1:frameHeader]) {
		return nil, &DamagedError{name, "its checksum is wrong"}
	}
	content := frame[frameHeader:]
	switch sealed := frame[len(frameMagic)]&frameSealed != 0; {
	case sealed && s.Cipher == nil:
		return nil, fmt.Errorf("read %s: %w: there is none for the cluster", name, ErrKey)
	case !sealed && s.Cipher != nil:
		return nil, &DamagedError{name, "it is not encrypted, as the cluster's objects are"}
	case sealed:
		if content, err = s.Cipher.Open(content, name); err != nil {
			return nil, fmt.Errorf("read %s: %w: %w", name, ErrKey, err)
		}
	}
	plain, err := decoder.DecodeAll(content, nil)
	if err != nil {
		return nil, &DamagedError{name, err.Error()}
	}
	return plain, nil
}
