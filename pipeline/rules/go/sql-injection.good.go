// Statements whose values are bound.
package shop

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

const columns = "id, name"

var sortable = []string{"name", "created"}

func Find(ctx context.Context, db *sql.DB, name string) *sql.Row {
	return db.QueryRowContext(ctx, "SELECT "+columns+" FROM users WHERE name = $1", name)
}

func Like(db *sql.DB, r *http.Request) (*sql.Rows, error) {
	return db.Query("SELECT id FROM users WHERE name LIKE ?", "%"+r.FormValue("name")+"%")
}

func Count(db *sql.DB, table string) *sql.Row {
	return db.QueryRow("SELECT count(*) FROM " + table)
}

func Page(db *sql.DB, r *http.Request) (*sql.Rows, error) {
	page, err := strconv.Atoi(r.FormValue("page"))
	if err != nil {
		return nil, err
	}
	return db.Query(fmt.Sprintf("SELECT id FROM users LIMIT 10 OFFSET %d", 10*page))
}

func Sorted(db *sql.DB, r *http.Request) (*sql.Rows, error) {
	by := r.FormValue("by")
	if !slices.Contains(sortable, by) {
		by = "name"
	}
	return db.Query("SELECT id FROM users ORDER BY " + by)
}

func Built(db *sql.DB, name string) (*sql.Rows, error) {
	query, values := build("SELECT id FROM users WHERE name = ?", name)
	return db.Query(query, values...)
}

func Numbered(db *sql.DB, names []string, name string) (*sql.Rows, error) {
	query := "SELECT id FROM users WHERE name = $" + strconv.Itoa(len(names))
	return db.Query(query, name)
}

func ByURL(r *http.Request) string {
	return r.URL.Query().Get("select " + r.FormValue("name"))
}
