package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// showUp is the end of up and modify: where to connect and what to try next.
func (a *app) showUp(ctx context.Context, client rest.Client, d rest.Deployment, showSecrets bool, pass *pgpass) error {
	if showSecrets {
		full, err := client.Describe(ctx, d.Name, true)
		if err != nil {
			return explain(err)
		}
		d = full
	}
	if a.view.json {
		return a.view.JSON(d)
	}
	status, err := client.Status(ctx)
	if err != nil {
		return explain(err)
	}
	c, _, err := a.installation()
	if err != nil {
		return err
	}
	what := "is up"
	if !d.Changed {
		what = "is as asked already: nothing was changed"
	}
	a.view.Line("")
	a.view.Title("%s %s (%s, %s)", d.Name, what, d.Plan.Name, providerText(d))
	if err := a.view.Pairs(upPairs(d, c, status)); err != nil {
		return err
	}
	a.view.Line("\n%s", psqlLine(ctx, c, d, status, pass))
	a.view.Line("\nNext:  %[2]s psql %[1]s   %[2]s describe %[1]s   %[2]s modify %[1]s --param readReplicaCount=2   %[2]s down %[1]s", d.Name, program())
	return nil
}

func upPairs(d rest.Deployment, c config.Config, s rest.Status) [][2]string {
	pairs := [][2]string{
		{"Writer", addr(d.Endpoints["writer"])},
		{"Reader", addr(d.Endpoints["reader"])},
		{"AWS API", s.RegionURL + "  (region " + s.Region + `; eval "$(` + program() + ` env)")`},
		{"Platform API", "http://" + c.PlatformAddr},
	}
	if d.Target == rest.TargetAWS {
		return pairs[:2]
	}
	return append(pairs, promises(s)...)
}

// promises are what holds for every deployment on this machine.
func promises(s rest.Status) [][2]string {
	pairs := [][2]string{{"Copies", s.Durability}, {"At rest", s.Encryption}}
	if s.Notice != "" {
		pairs = append(pairs, [2]string{"Notice", s.Notice})
	}
	return pairs
}

// psqlLine works when it is pasted, also where nobody resolves our names.
func psqlLine(ctx context.Context, c config.Config, d rest.Deployment, s rest.Status, pass *pgpass) string {
	e := d.Endpoints["writer"]
	settings := []string{
		"host=" + e.Host, fmt.Sprintf("port=%d", e.Port),
		fmt.Sprintf("user=%v", d.Outputs["master_username"]), fmt.Sprintf("dbname=%v", d.Outputs["database_name"]),
	}
	if d.Target == rest.TargetEmbedded {
		if addr, err := c.Resolve(ctx, e.Host); err == nil && addr != e.Host {
			settings = append(settings, "hostaddr="+addr)
		}
		settings = append(settings, "sslmode=verify-full", "sslrootcert="+s.CAFile)
	}
	if pass != nil {
		settings = append(settings, "passfile="+pass.path)
	}
	return `psql "` + strings.Join(settings, " ") + `"`
}

func providerText(d rest.Deployment) string {
	text := "target " + d.Target + ", provider " + d.Provider
	if d.Tool != "" {
		text = d.Tool + ", " + text
	}
	return text
}

func (a *app) showDeployment(ctx context.Context, client rest.Client, d rest.Deployment, instances []instance, problems map[string]string) error {
	status, err := client.Status(ctx)
	if err != nil {
		return explain(err)
	}
	pairs := [][2]string{
		{"Name", d.Name}, {"Id", d.ID}, {"Status", a.view.status(d.Status)},
		{"Plan", d.Plan.Name + "  " + d.Plan.Origin}, {"Terraform", providerText(d)}, {"Region", d.Region},
		{"Created", d.CreateTime.Format(time.RFC3339)},
	}
	if d.Message != "" {
		pairs = append(pairs, [2]string{"Message", d.Message})
	}
	if d.Target == rest.TargetEmbedded {
		pairs = append(pairs, promises(status)...)
	}
	for _, name := range slices.Sorted(maps.Keys(problems)) {
		pairs = append(pairs, [2]string{"Problem", "the " + name + " endpoint takes no connections: " + problems[name]})
	}
	if err := a.view.Pairs(pairs); err != nil {
		return err
	}
	if len(instances) > 0 {
		var rows [][]string
		for _, i := range instances {
			rows = append(rows, []string{i.Identifier, i.Role, a.view.status(i.Status), i.Class, i.EngineVersion, i.Zone, i.Server})
		}
		a.view.Line("")
		if err := a.view.Table([]string{"INSTANCE", "ROLE", "STATUS", "CLASS", "ENGINE", "ZONE", "REALLY"}, rows); err != nil {
			return err
		}
	}
	a.view.Line("")
	if err := a.view.Table([]string{"PARAMETER", "VALUE"}, valueRows(d.Parameters)); err != nil {
		return err
	}
	a.view.Line("")
	if err := a.view.Table([]string{"OUTPUT", "VALUE"}, valueRows(d.Outputs)); err != nil {
		return err
	}
	a.view.Line("")
	var rows [][]string
	for _, s := range d.Steps {
		rows = append(rows, []string{s.Name, s.Status, round(time.Duration(s.Seconds * float64(time.Second))), s.Detail})
	}
	return a.view.Table([]string{"STEP", "STATUS", "TIME", "DETAIL"}, rows)
}

func valueRows(values map[string]any) [][]string {
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text, ok := values[name].(string)
		if !ok {
			data, _ := json.Marshal(values[name])
			text = string(data)
		}
		rows = append(rows, []string{name, text})
	}
	return rows
}
