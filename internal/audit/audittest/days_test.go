package audittest

import (
	"testing"

	auditlog "github.com/keyturn/keyturn/internal/audit/log"
)

// TestDaysAreInTheVocabulary holds the invented days to what a server can write.
func TestDaysAreInTheVocabulary(t *testing.T) {
	s := NewScribe(t)
	s.QuietDay()
	s.IncidentNight()
	if err := auditlog.Lines([]string{s.Path}, CheckLine); err != nil {
		t.Error(err)
	}
	if _, err := auditlog.Verify([]string{s.Path}, auditlog.VerifyOptions{}); err != nil {
		t.Error(err)
	}
}
