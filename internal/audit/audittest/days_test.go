package audittest

import (
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
)

// TestDaysAreInTheVocabulary holds the invented days to what a server can write.
func TestDaysAreInTheVocabulary(t *testing.T) {
	s := NewScribe(t)
	s.QuietDay()
	s.IncidentNight()
	if err := audit.Lines([]string{s.Path}, CheckLine); err != nil {
		t.Error(err)
	}
	if _, err := audit.Verify([]string{s.Path}, audit.VerifyOptions{}); err != nil {
		t.Error(err)
	}
}
