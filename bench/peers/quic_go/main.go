// quic-go's side of the benchmark: the programs of bench/peers/side.py in Go.
//
// "server" prints its port, and its figures on SIGTERM; "client" does one work and prints its
// figures, one JSON line each.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
)

const (
	alpn            = "perf"
	header          = 8
	chunk           = 256 * 1024
	window          = 16 << 20
	receiveBuffer   = 4 << 20
	idleTimeout     = 120 * time.Second
	backgroundBytes = 100_000_000
	patience        = 100 * time.Millisecond
	lookSeconds     = time.Second
)

var (
	protocol    = flag.String("protocol", "quic", "quic or http3")
	port        = flag.Int("port", 0, "client: the server's port")
	mtu         = flag.Uint("mtu", 1452, "largest UDP payload")
	group       = flag.String("group", "X25519", "the only group for the key exchange")
	ca          = flag.String("ca", "", "client: PEM file")
	certificate = flag.String("certificate", "", "server: PEM file")
	key         = flag.String("key", "", "server: PEM file")
	work        = flag.String("work", "download", "what to do")
	count       = flag.Int("count", 1, "of bytes, requests, ...")
	parallel    = flag.Int("parallel", 1, "at a time, on a connection")
	connections = flag.Int("connections", 1, "how many")
	ask         = flag.Int("ask", 100, "bytes of a request or message")
	answer      = flag.Int("answer", 1000, "bytes of an answer")
	seconds     = flag.Float64("seconds", 2.0, "of latency; of idleness")
)

type facts map[string]any

func say(found facts) {
	line, err := json.Marshal(found)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

// clock measures wall time and this process's CPU time, user and system.
type clock struct {
	wall time.Time
	cpu  float64
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func newClock() clock { return clock{time.Now(), cpuSeconds()} }

func (c clock) into(found facts) facts {
	found["seconds"] = time.Since(c.wall).Seconds()
	found["cpu"] = cpuSeconds() - c.cpu
	return found
}

func settings() *quic.Config {
	return &quic.Config{
		MaxIdleTimeout:                 idleTimeout,
		InitialPacketSize:              uint16(*mtu),
		DisablePathMTUDiscovery:        true,
		InitialStreamReceiveWindow:     window,
		MaxStreamReceiveWindow:         window,
		InitialConnectionReceiveWindow: window,
		MaxConnectionReceiveWindow:     window,
		EnableDatagrams:                *work == "datagrams",
	}
}

// crypto is the part of the TLS settings that both sides share. The cipher suite of TLS 1.3 is
// not to be chosen in Go: with AES in hardware it is AES-128-GCM.
func crypto() (*tls.Config, error) {
	groups := map[string]tls.CurveID{"X25519": tls.X25519, "X25519MLKEM768": tls.X25519MLKEM768}
	chosen, known := groups[*group]
	if !known {
		return nil, fmt.Errorf("unknown group %s", *group)
	}
	return &tls.Config{
		CurvePreferences: []tls.CurveID{chosen},
		NextProtos:       []string{alpn},
		MinVersion:       tls.VersionTLS13,
		// Every handshake shall be a full one.
		SessionTicketsDisabled: true,
	}, nil
}

func serverCrypto() (*tls.Config, error) {
	config, err := crypto()
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		return nil, err
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

func clientCrypto() (*tls.Config, error) {
	config, err := crypto()
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(*ca)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	config.RootCAs.AppendCertsFromPEM(pem)
	config.ServerName = "localhost"
	return config, nil
}

// newTransport is a socket of its own with the receive buffer that all stacks get.
func newTransport() (*quic.Transport, error) {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	if err := socket.SetReadBuffer(receiveBuffer); err != nil {
		return nil, err
	}
	return &quic.Transport{Conn: socket}, nil
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "use: quic-go-bench server|client --name value ...")
		os.Exit(2)
	}
	if err := flag.CommandLine.Parse(os.Args[2:]); err != nil {
		os.Exit(2)
	}
	parts := map[string]func() error{
		"server quic": serveQuic, "server http3": serveHTTP3,
		"client quic": clientQuic, "client http3": clientHTTP3,
	}
	part, known := parts[os.Args[1]+" "+*protocol]
	if !known {
		fmt.Fprintln(os.Stderr, "unknown part", os.Args[1], *protocol)
		os.Exit(2)
	}
	if err := part(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
