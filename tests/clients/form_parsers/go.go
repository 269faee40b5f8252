// Whether Go's net/http reads a form from a body into PostForm, by its Content-Type. Reads and writes as
// python.py does.
package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"runtime"
	"strings"
)

const body = "a=read"

func reads(contentType *string) bool {
	request, err := http.NewRequest("POST", "http://localhost/", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	if contentType != nil {
		request.Header["Content-Type"] = []string{latin1(*contentType)}
	}
	_ = request.ParseMultipartForm(1 << 20)
	return request.PostForm.Get("a") == "read"
}

func latin1(text string) string {
	var bytes []byte
	for _, char := range text {
		bytes = append(bytes, byte(char))
	}
	return string(bytes)
}

func main() {
	form := "application/x-www-form-urlencoded"
	if !reads(&form) {
		panic("Go reads no form at all")
	}
	read := []bool{}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var contentType *string
		if err := json.Unmarshal(lines.Bytes(), &contentType); err != nil {
			panic(err)
		}
		read = append(read, reads(contentType))
	}
	found := map[string]any{"version": runtime.Version(), "reads": read}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"Go net/http (Gin, Echo)": found})
}
