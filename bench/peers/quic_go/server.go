package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

var (
	zeros    = make([]byte, chunk)
	received atomic.Uint64 // packets of all connections that have ended
	buffers  = sync.Pool{New: func() any { return new([chunk]byte) }}
)

// untilTold waits for SIGTERM and tells of the figures. Connections that have not ended by then
// are those of a client that is gone as well.
func untilTold(transport *quic.Transport) {
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, syscall.SIGTERM)
	started := newClock()
	say(facts{"port": transport.Conn.LocalAddr().(*net.UDPAddr).Port})
	<-ending
	say(started.into(facts{"packets": received.Load()}))
}

func listen() (*quic.Transport, *quic.Listener, error) {
	config, err := serverCrypto()
	if err != nil {
		return nil, nil, err
	}
	if *protocol == "http3" {
		config = http3.ConfigureTLSConfig(config)
	}
	transport, err := newTransport()
	if err != nil {
		return nil, nil, err
	}
	listener, err := transport.Listen(config, settings())
	return transport, listener, err
}

func acceptAll(listener *quic.Listener, handle func(*quic.Conn)) {
	for {
		connection, err := listener.Accept(context.Background())
		if err != nil {
			return
		}
		go handle(connection)
	}
}

func serveQuic() error {
	transport, listener, err := listen()
	if err != nil {
		return err
	}
	go acceptAll(listener, func(connection *quic.Conn) {
		if *work == "datagrams" {
			go echo(connection)
		}
		for {
			stream, err := connection.AcceptStream(context.Background())
			if err != nil {
				received.Add(connection.ConnectionStats().PacketsReceived)
				return
			}
			go answerStream(stream)
		}
	})
	untilTold(transport)
	return nil
}

func answerStream(stream *quic.Stream) {
	defer stream.Close()
	var head [header]byte
	if _, err := io.ReadFull(stream, head[:]); err != nil {
		return
	}
	buffer := buffers.Get().(*[chunk]byte)
	_, err := swallow(stream, buffer[:])
	buffers.Put(buffer)
	if err != nil {
		return
	}
	_ = pour(stream, int(binary.BigEndian.Uint64(head[:])))
}

// pour writes size bytes.
func pour(to io.Writer, size int) error {
	for size > 0 {
		written, err := to.Write(zeros[:min(size, chunk)])
		if err != nil {
			return err
		}
		size -= written
	}
	return nil
}

func echo(connection *quic.Conn) {
	for {
		datagram, err := connection.ReceiveDatagram(context.Background())
		if err != nil {
			return
		}
		if err := connection.SendDatagram(datagram); err != nil {
			return
		}
	}
}

func serveHTTP3() error {
	transport, listener, err := listen()
	if err != nil {
		return err
	}
	server := &http3.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		size, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("content-length", strconv.Itoa(size))
		_ = pour(w, size)
	})}
	go acceptAll(listener, func(connection *quic.Conn) {
		_ = server.ServeQUICConn(connection)
		received.Add(connection.ConnectionStats().PacketsReceived)
	})
	untilTold(transport)
	return nil
}
