// Statements that a request writes.
package shop

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strings"

	_ "github.com/lib/pq"
)

type Users struct{ db *sql.DB }

func (u *Users) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("name")
	rows, err := u.db.Query(fmt.Sprintf("SELECT id FROM users WHERE name = '%s'", name)) // expect: go.sql-injection
	use(rows, err)
	rows, err = u.db.QueryContext(r.Context(), "SELECT id FROM users WHERE name = '"+name+"'") // expect: go.sql-injection
	use(rows, err)
	query := "DELETE FROM users WHERE mail = '" + r.URL.Query().Get("mail") + "'"
	_, err = u.db.Exec(query) // expect: go.sql-injection
	use(nil, err)
}

func Find(ctx context.Context, db *sql.DB, name string) *sql.Row {
	return db.QueryRowContext(ctx, "SELECT id FROM users WHERE name = '"+name+"' AND active") // expect: go.sql-injection
}

func (u *Users) Rename(old, new string) error {
	_, err := u.db.Exec(fmt.Sprintf(`UPDATE users SET name = '%s' WHERE name = '%s'`, new, old)) // expect: go.sql-injection
	return err
}

func Search(db *sql.DB, word string) (*sql.Rows, error) {
	var text strings.Builder
	text.WriteString("SELECT id FROM users WHERE name = '")
	text.WriteString(word)
	text.WriteString("'")
	return db.Query(text.String()) // expect: go.sql-injection
}

func Grow(db *sql.DB, name string) (*sql.Rows, error) {
	query := "SELECT id FROM users WHERE active"
	if name != "" {
		query += " AND name = '" + name + "'"
	}
	return db.Query(query) // expect: go.sql-injection
}
