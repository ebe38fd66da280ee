//! What real fleets do: modules above the project, other working directories, the compiler's own words, several protocols, private certificates.

use serde_json::json;

use crate::support::Fleet;

const SLEEP: &str = "package main\n\nimport \"time\"\n\nfunc main() { time.Sleep(time.Hour) }\n";

#[test]
fn a_module_above_the_project_with_many_commands_of_which_few_are_services() {
    let fleet = Fleet::new();
    fleet.write("../go.mod", "module example.com/above\n\ngo 1.22\n");
    fleet.write("../cmd/api/main.go", SLEEP);
    fleet.write("../cmd/tool/main.go", "package main\n\nfunc main() { broken }\n");
    fleet.write("api/service.yml", "package: ../../cmd/api\n");
    fleet.write("other/main.go", SLEEP);
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.pids().len(), 1);
    assert_eq!(fleet.instance("api.1")["state"], "ready");
}

#[test]
fn a_working_directory_that_is_not_the_services_folder() {
    let fleet = Fleet::new();
    fleet.write("data/input", "");
    fleet.toy("api", &["-need-file", "input"], "dir: ../data");
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.instance("api.1")["restarts"], 0);
}

#[test]
fn the_compilers_own_words_about_a_missing_embedded_file() {
    let fleet = Fleet::new();
    fleet.go_service("api", "package main\n\nimport _ \"embed\"\n\n//go:embed page.html\nvar page string\n\nfunc main() { println(page) }\n");
    let start = fleet.orchestra(&["start"]).exits(1);
    assert!(start.stderr.contains("api/main.go:5:12: pattern page.html: no matching files found"), "{}", start.stderr);
}

#[test]
fn the_toolchains_own_words_about_a_go_line_that_is_too_new() {
    let fleet = Fleet::new();
    fleet.go_service("api", SLEEP);
    fleet.write("api/go.mod", "module example.com/api\n\ngo 1.999\n");
    let start = fleet.orchestra(&["start"]).exits(1);
    assert!(start.stderr.contains("requires go >= 1.999"), "{}", start.stderr);
}

#[test]
fn udp_and_tcp_on_one_number_and_none_at_all() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.toy("both", &[], &format!("ports: {{http: {port}, coap: {port}/udp}}"));
    fleet.toy("none", &[], "");
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.instance("both.1")["ports"], json!({"http": port, "coap": port}));
    assert_eq!(fleet.instance("none.1")["ports"], json!({}));
}

#[test]
fn two_services_on_one_port_are_an_error_naming_both() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.toy("one", &["-touch", "../ran"], &format!("port: {port}"));
    fleet.toy("two", &["-touch", "../ran"], &format!("port: {port}"));
    let start = fleet.orchestra(&["start"]).exits(2);
    for word in ["one", "two", &port.to_string()] {
        assert!(start.stderr.contains(word), "{word}: {}", start.stderr);
    }
    assert!(!fleet.path("ran").exists());
}

#[test]
fn a_cycle_is_an_error_with_its_path() {
    let fleet = Fleet::new();
    fleet.toy("a", &[], "depends_on: [b]");
    fleet.toy("b", &[], "depends_on: [c]");
    fleet.toy("c", &[], "depends_on: [a]");
    let start = fleet.orchestra(&["start"]).exits(2);
    assert!(start.stderr.contains("a → b → c → a") || start.stderr.contains("a -> b -> c -> a"), "{}", start.stderr);
}

#[test]
fn a_service_that_exits_while_its_dependency_is_away_comes_back_with_it() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.write("up", "");
    fleet.toy("db", &["-ready-file", "../up"], &format!("port: {port}\nready: {{http: /ready, interval: 50ms}}"));
    fleet.toy(
        "api",
        &["-need-file", "../up"],
        "depends_on: [db]\nrestart: {policy: on-failure, delay: 10ms, limit: 3}",
    );
    fleet.orchestra(&["start"]).ok();
    std::fs::remove_file(fleet.path("up")).unwrap();
    fleet.until("db.1", "running");
    fleet.orchestra(&["kill", "-s", "KILL", "api"]).ok();
    crate::support::eventually("more deaths than the limit, or a wait", || {
        let api = fleet.instance("api.1");
        (api["last_exit"]["code"] == 4 || api["state"] == "queued").then_some(())
    });
    fleet.write("up", "");
    fleet.until("db.1", "ready");
    fleet.until("api.1", "ready");
}

#[test]
fn https_readiness_with_a_private_authority() {
    let fleet = Fleet::new();
    let port = fleet.port();
    let source = r#"package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: root.NotBefore, NotAfter: root.NotAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	os.WriteFile("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}), 0o644)
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), TLSConfig: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leafDER}, PrivateKey: key}}}}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	panic(server.ListenAndServeTLS("", ""))
}
"#;
    fleet.go_service("secret", source);
    fleet.write("secret/ca.pem", "the service writes it\n");
    let ready = format!("ready: {{http: 'https://127.0.0.1:{port}/', ca: ca.pem}}");
    fleet.write("secret/service.yml", format!("port: {port}\n{ready}\n"));
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.instance("secret.1")["health"], "ok");
}

#[test]
fn an_instance_that_answers_no_longer_is_seen_by_the_next_start() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.write("up", "");
    fleet.toy("api", &["-ready-file", "../up"], &format!("port: {port}\nready: {{http: /ready, interval: 50ms}}"));
    fleet.orchestra(&["start"]).ok();
    std::fs::remove_file(fleet.path("up")).unwrap();
    fleet.until("api.1", "running");
    fleet.orchestra(&["start", "--timeout", "500ms"]).exits(1);
}
