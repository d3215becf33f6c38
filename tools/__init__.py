"""Programs for those who work on doubleread: pictures and pages of its documentation."""
