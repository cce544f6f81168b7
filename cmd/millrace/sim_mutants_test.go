package main

import (
	"strings"
	"testing"
)

func TestMutantTable(t *testing.T) {
	text := mutantTable([]mutantResult{
		{Name: "soon", Alters: "a", Seeds: []int{1, 20, 90}, Median: 20},
		{Name: "late", Alters: "b", Seeds: []int{30, 0, 21}, Median: 30},
		{Name: "sooner", Alters: "c", Seeds: []int{1, 1, 1}, Median: 1},
		{Name: "never", Alters: "d", Seeds: []int{0, 5, 0}, Median: 0},
		{Name: "later", Alters: "e", Seeds: []int{31, 31, 31}, Median: 31},
	}, &simFlags{limit: 100})
	want := "| `never` | d | > 100 | > 100, 5, > 100 |\n" +
		"| `later` | e | 31 | 31, 31, 31 |\n" +
		"| `late` | b | 30 | 30, > 100, 21 |\n" +
		"| `soon` | a | 20 | 1, 20, 90 |\n" +
		"| `sooner` | c | 1 | 1, 1, 1 |\n"
	if !strings.Contains(text, want) || !strings.Contains(text, "\n5 planted bugs; 2 of them have a median above 20.") {
		t.Error(text)
	}
}
