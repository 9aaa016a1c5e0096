// Renders the templates of a chart as Helm does: text/template and sprig, with Helm's include, tpl, required, fail, toYaml and fromYaml.
// Usage: main CHART RELEASE NAMESPACE VALUES.yaml...; later files win. Prints all manifests, NOTES.txt last after a line "# NOTES".
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

func main() {
	if len(os.Args) < 4 {
		die(errors.New("usage: main CHART RELEASE NAMESPACE VALUES.yaml..."))
	}
	chart, release, namespace := os.Args[1], os.Args[2], os.Args[3]
	values := readMap(filepath.Join(chart, "values.yaml"))
	for _, path := range os.Args[4:] {
		values = merged(values, readMap(path))
	}
	described := map[string]interface{}{}
	for key, value := range readMap(filepath.Join(chart, "Chart.yaml")) {
		described[strings.ToUpper(key[:1])+key[1:]] = value
	}
	data := map[string]interface{}{
		"Values": values,
		"Chart":  described,
		"Release": map[string]interface{}{
			"Name": release, "Namespace": namespace, "Service": "Helm", "Revision": 1, "IsInstall": true, "IsUpgrade": false,
		},
	}

	templates := template.New("chart").Option("missingkey=zero")
	templates.Funcs(functions(templates))
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	die(err)
	sort.Strings(files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		die(err)
		_, err = templates.New(filepath.Base(file)).Parse(string(text))
		die(err)
	}
	notes := ""
	for _, file := range files {
		name := filepath.Base(file)
		if strings.HasPrefix(name, "_") {
			continue
		}
		var out bytes.Buffer
		die(templates.ExecuteTemplate(&out, name, data))
		// Helm replaces what the option missingkey=zero prints for keys that are not there.
		text := strings.ReplaceAll(out.String(), "<no value>", "")
		if name == "NOTES.txt" {
			notes = text
		} else if strings.TrimSpace(text) != "" {
			fmt.Printf("---\n# Source: %s\n%s\n", name, text)
		}
	}
	fmt.Printf("# NOTES\n%s", notes)
}

func functions(templates *template.Template) template.FuncMap {
	all := sprig.TxtFuncMap()
	delete(all, "env")
	delete(all, "expandenv")
	all["include"] = func(name string, data interface{}) (string, error) {
		var out bytes.Buffer
		err := templates.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	all["tpl"] = func(text string, data interface{}) (string, error) {
		copied, err := templates.Clone()
		if err != nil {
			return "", err
		}
		parsed, err := copied.New("tpl").Parse(text)
		if err != nil {
			return "", err
		}
		var out bytes.Buffer
		err = parsed.Execute(&out, data)
		return out.String(), err
	}
	all["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, errors.New(message)
		}
		return value, nil
	}
	all["fail"] = func(message string) (string, error) { return "", errors.New(message) }
	all["toYaml"] = func(value interface{}) (string, error) {
		var out bytes.Buffer
		encoder := yaml.NewEncoder(&out)
		encoder.SetIndent(2)
		err := encoder.Encode(value)
		return strings.TrimSuffix(out.String(), "\n"), err
	}
	all["fromYaml"] = func(text string) (map[string]interface{}, error) {
		value := map[string]interface{}{}
		return value, yaml.Unmarshal([]byte(text), &value)
	}
	return all
}

func readMap(path string) map[string]interface{} {
	text, err := os.ReadFile(path)
	die(err)
	value := map[string]interface{}{}
	die(yaml.Unmarshal(text, &value))
	return value
}

// Maps are merged, all else is replaced; null takes a key away.
func merged(below, above map[string]interface{}) map[string]interface{} {
	out := map[string]interface{}{}
	for key, value := range below {
		out[key] = value
	}
	for key, value := range above {
		lower, isMap := out[key].(map[string]interface{})
		upper, both := value.(map[string]interface{})
		switch {
		case value == nil:
			delete(out, key)
		case isMap && both:
			out[key] = merged(lower, upper)
		default:
			out[key] = value
		}
	}
	return out
}

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
