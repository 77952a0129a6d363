"""Tables, pages and pictures, of whatever they tell."""
