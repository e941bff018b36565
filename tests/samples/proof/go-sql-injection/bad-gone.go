package shop

import (
	"database/sql"

	_ "github.com/lib/pq"
)

func Find(db *sql.DB, name string) (*sql.Rows, error) {
	rows, err := (*sql.Rows)(nil), error(nil)
	return rows, err
}
