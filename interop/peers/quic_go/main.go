// quic-go as the far end of the interop cases: an HTTP/3 file server and a client.
//
// "serve" answers GET and HEAD with files of a folder, and POST with the SHA-256 of the body;
// it prints READY once it listens. "get" prints one JSON line with what it saw.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

var (
	listen      = flag.String("listen", "", "serve: host:port")
	certificate = flag.String("certificate", "", "serve: PEM file")
	key         = flag.String("key", "", "serve: PEM file")
	root        = flag.String("root", "", "serve: folder")
	retry       = flag.Bool("retry", false, "serve: send a Retry to everyone")
	connect     = flag.String("connect", "", "get: host:port")
	ca          = flag.String("ca", "", "get: PEM file")
	path        = flag.String("path", "/", "get: path of the URL")
	method      = flag.String("method", "GET", "get: method")
	upload      = flag.String("upload", "", "get: file to send")
	count       = flag.Int("count", 1, "get: requests")
	parallel    = flag.Int("parallel", 1, "get: requests at a time")
	group       = flag.String("group", "", "the only key exchange group: P-256 or P-384")
	version     = flag.Uint("version", 0, "serve: the only version; get: the one to begin with")
	window      = flag.Uint64("window", 0, "receive windows in bytes; 0 = quic-go's own")
)

func say(facts map[string]any) {
	line, err := json.Marshal(facts)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func groups() []tls.CurveID {
	switch *group {
	case "P-256":
		return []tls.CurveID{tls.CurveP256}
	case "P-384":
		return []tls.CurveID{tls.CurveP384}
	}
	return nil
}

func settings() *quic.Config {
	config := &quic.Config{MaxIdleTimeout: 20 * time.Second}
	if *window > 0 {
		config.InitialStreamReceiveWindow = *window
		config.MaxStreamReceiveWindow = *window
		config.InitialConnectionReceiveWindow = *window
		config.MaxConnectionReceiveWindow = *window
	}
	return config
}

func serve() error {
	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		return err
	}
	socket, err := net.ListenPacket("udp", *listen)
	if err != nil {
		return err
	}
	transport := &quic.Transport{Conn: socket}
	if *retry {
		transport.VerifySourceAddress = func(net.Addr) bool { return true }
	}
	config := http3.ConfigureTLSConfig(&tls.Config{
		Certificates:     []tls.Certificate{pair},
		CurvePreferences: groups(),
	})
	below := settings()
	if *version != 0 {
		below.Versions = []quic.Version{quic.Version(*version)}
	}
	listener, err := transport.ListenEarly(config, below)
	if err != nil {
		return err
	}
	files := http.FileServer(http.Dir(*root))
	server := &http3.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			files.ServeHTTP(w, r)
			return
		}
		digest := sha256.New()
		if _, err := io.Copy(digest, r.Body); err != nil {
			say(map[string]any{"broken": err.Error()})
			return
		}
		fmt.Fprint(w, hex.EncodeToString(digest.Sum(nil)))
	})}
	fmt.Println("READY")
	for {
		connection, err := listener.Accept(context.Background())
		if err != nil {
			return err
		}
		go func() {
			err := server.ServeQUICConn(connection)
			<-connection.Context().Done()
			say(map[string]any{
				"ended":       true,
				"why":         fmt.Sprint(context.Cause(connection.Context())),
				"session_end": fmt.Sprint(err),
			})
		}()
	}
}

// seen is what became of one request.
type seen struct {
	status        int
	protocol      string
	bytes         int
	contentLength int64
	digest, body  string
}

func ask(client http.RoundTripper, url string, body []byte) (*seen, error) {
	request, err := http.NewRequest(*method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := client.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(content)
	return &seen{
		response.StatusCode, response.Proto, len(content), response.ContentLength,
		hex.EncodeToString(digest[:]), string(content[:min(len(content), 80)]),
	}, nil
}

func get() error {
	pem, err := os.ReadFile(*ca)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	var body []byte
	if *upload != "" {
		if body, err = os.ReadFile(*upload); err != nil {
			return err
		}
	}
	client := &http3.Transport{
		TLSClientConfig: &tls.Config{
			RootCAs: roots, ServerName: "localhost", CurvePreferences: groups(),
		},
		QUICConfig:         settings(),
		DisableCompression: true,
	}
	if *version != 0 {
		// Left to itself, http3 refuses a configuration with two versions.
		client.Dial = func(
			ctx context.Context, addr string, config *tls.Config, below *quic.Config,
		) (*quic.Conn, error) {
			below = below.Clone()
			below.Versions = []quic.Version{quic.Version(*version), quic.Version1}
			return quic.DialAddrEarly(ctx, addr, config, below)
		}
	}
	all := make([]*seen, *count)
	failures := make(chan error, *count)
	places := make(chan struct{}, *parallel)
	var tasks sync.WaitGroup
	for number := range all {
		url := "https://" + *connect + *path
		if *count > 1 {
			url = fmt.Sprintf("%s?n=%d", url, number)
		}
		tasks.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			var err error
			if all[number], err = ask(client, url, body); err != nil {
				failures <- err
			}
		})
	}
	tasks.Wait()
	select {
	case err := <-failures:
		return err
	default:
	}
	first, alike := all[0], true
	for _, one := range all {
		alike = alike && one.digest == first.digest && one.status == first.status
	}
	say(map[string]any{
		"protocol": first.protocol, "completed": len(all), "alike": alike,
		"status": first.status, "bytes": first.bytes,
		"content_length": fmt.Sprint(first.contentLength), "sha256": first.digest,
		"body": first.body,
	})
	if err := client.Close(); err != nil {
		return err
	}
	say(map[string]any{"closed": true})
	return nil
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "use: quic-go-peer serve|get --name value ...")
		os.Exit(2)
	}
	if err := flag.CommandLine.Parse(os.Args[2:]); err != nil {
		os.Exit(2)
	}
	parts := map[string]func() error{"serve": serve, "get": get}
	part, known := parts[os.Args[1]]
	if !known {
		fmt.Fprintln(os.Stderr, "unknown part", os.Args[1])
		os.Exit(2)
	}
	if err := part(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
