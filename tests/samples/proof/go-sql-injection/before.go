package shop

import (
	"database/sql"

	_ "github.com/lib/pq"
)

func Find(db *sql.DB, name string) (*sql.Rows, error) {
	rows, err := db.Query("SELECT id FROM users WHERE name = '" + name + "'")
	return rows, err
}
