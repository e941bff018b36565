package shop

import (
	"database/sql"

	_ "github.com/lib/pq"
)

func Find(db *sql.DB, name string) (*sql.Rows, error) {
	rows, err := db.Query(text(name))
	return rows, err
}

func text(name string) string { return "SELECT id FROM users WHERE name = '" + name + "'" }
