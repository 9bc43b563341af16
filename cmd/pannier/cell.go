package main

import "strconv"

// number is n in a table cell; 0 is nothing.
func number(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

// text is s in a table cell; "" is nothing.
func text(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// clipped shortens s to limit characters.
func clipped(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return string(runes[:limit-1]) + "…"
}
