package audittest

import (
	"testing"

	"github.com/keyturn/keyturn/internal/audit/verify"
)

// TestDaysAreInTheVocabulary holds the invented days to what a server can write.
func TestDaysAreInTheVocabulary(t *testing.T) {
	s := NewScribe(t)
	s.QuietDay()
	s.IncidentNight()
	if err := verify.Lines([]string{s.Path}, CheckLine); err != nil {
		t.Error(err)
	}
	if _, err := verify.Files([]string{s.Path}, verify.Options{}); err != nil {
		t.Error(err)
	}
}
