print("telstar")
