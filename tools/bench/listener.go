package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// tcpListen is how /proc/net/tcp writes the state LISTEN.
const tcpListen = "0A"

// listenerPID returns the process that listens on the port, on a loopback
// address or on all. It returns 0 where none is found: there is no /proc, or
// the process is another user's, or a proxy's in front of a container, or
// several share the port.
func listenerPID(root string, port uint16) int {
	inodes := map[string]bool{}
	for _, name := range []string{"tcp", "tcp6"} {
		table, err := os.ReadFile(filepath.Join(root, "net", name))
		if err != nil {
			continue
		}
		for _, inode := range parseListeners(table, port) {
			inodes[inode] = true
		}
	}
	if len(inodes) == 0 {
		return 0
	}
	found := 0
	fds, _ := filepath.Glob(filepath.Join(root, "[0-9]*", "fd", "*"))
	for _, fd := range fds {
		link, err := os.Readlink(fd)
		if err != nil {
			continue
		}
		inode, ok := strings.CutPrefix(link, "socket:[")
		if !ok || !inodes[strings.TrimSuffix(inode, "]")] {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(fd))))
		if err != nil {
			continue
		}
		if found != 0 && found != pid {
			return 0
		}
		found = pid
	}
	return found
}

// parseListeners returns the inodes of the sockets in a table of /proc/net/tcp
// or tcp6 that listen on the port, on a loopback address or on all.
func parseListeners(table []byte, port uint16) []string {
	var inodes []string
	for line := range bytes.Lines(table) {
		f := strings.Fields(string(line))
		if len(f) < 10 || f[3] != tcpListen {
			continue
		}
		local, ok := parseSocketAddress(f[1])
		if !ok || local.Port() != port {
			continue
		}
		ip := local.Addr().Unmap()
		if ip.IsLoopback() || ip.IsUnspecified() {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}

// parseSocketAddress reads ADDRESS:PORT in hexadecimal: the address in words of
// four bytes in the machine's own order, the port as a number.
func parseSocketAddress(text string) (netip.AddrPort, bool) {
	address, portText, ok := strings.Cut(text, ":")
	if !ok {
		return netip.AddrPort{}, false
	}
	port, err := strconv.ParseUint(portText, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	raw, err := hex.DecodeString(address)
	if err != nil || (len(raw) != 4 && len(raw) != 16) {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
	}
	ip, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(ip, uint16(port)), true
}
